"""The guide to the Python client is true."""

import re
from pathlib import Path

import pytest

from tests.api.conftest import World
from tests.support.finisher import Finisher
from tests.support.paths import ROOT
from tests.support.servers.media_server import DATA
from ytcaption.client import errors
from ytcaption.client.channels import Channels
from ytcaption.client.client import Client

PAGE = (ROOT / "docs" / "how-to" / "use-the-python-client.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_each_example_runs(
    server_url: str,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They run in their order, against a real server."""
    (tmp_path / "talk.mp3").write_bytes((DATA / "jfk.flac").read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    with Finisher(world):
        for block in blocks:
            exec(block.replace("http://127.0.0.1:8000", server_url), names)

    printed = capsys.readouterr().out
    assert len(blocks) == 9
    assert "completed Ask not 11.0" in printed and "00:00:00,000 --> " in printed
    assert "TranscriptionCompleted" in printed
    assert "Ask not 5.0 ask what you can do for your country." in printed
    assert "100%" in printed and "0.0  And" in printed
    (refused,) = [line for line in printed.splitlines() if line.startswith("ftp://")]
    assert "not opened" in refused
    assert "422 unknown_model Unknown model 'huge'" in printed


def test_every_method_and_error_is_documented() -> None:
    """The page names all of them."""
    methods = {name for kind in (Client, Channels) for name in vars(kind) if name[0] != "_"}
    methods -= {"close", "keep"}  # `keep` is the old name of `pin`
    assert {name for name in methods if f"`{name}" not in PAGE and f".{name}(" not in PAGE} == set()
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    own = {kind.__name__ for kind in kinds if issubclass(kind, errors.ClientError)}
    assert {name for name in own - {"ClientError"} if f"`{name}`" not in PAGE} == set()
