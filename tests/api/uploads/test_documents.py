"""The documented examples of uploads and of OpenAI's clients work."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from resources.transcriptions.reads import get_media
from resources.transcriptions.store import RequestStore
from tests.api.conftest import World
from tests.api.uploads.bodies import JFK
from tests.api.workers import Scripted, worker
from tests.support.paths import ROOT
from tests.support.rows import recent_transcriptions
from tests.support.transcripts import SPOKEN

SERVER = "http://127.0.0.1:8000"
GUIDES = ROOT / "docs" / "how-to"


@pytest.mark.long
def test_the_python_example_prints_the_text(
    server_url: str, world: World, request_store: RequestStore, tmp_path: Path
) -> None:
    """It runs as written, with another address."""
    page = (GUIDES / "use-openai-clients.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(from openai.*?)```", page, re.DOTALL)
    (tmp_path / "talk.mp3").write_bytes(JFK)

    with worker(request_store, Scripted(world).complete):
        done = subprocess.run(
            [sys.executable, "-c", example.replace(SERVER, server_url)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )

    text = " ".join(SPOKEN)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{text}\nAnd 0.0\n{text}"


@pytest.mark.parametrize("place", [0, 1])
def test_the_curl_examples_upload(
    server_url: str, request_store: RequestStore, tmp_path: Path, place: int
) -> None:
    """As a form and bare: accepted under the file's name."""
    page = (GUIDES / "transcribe-by-http.md").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.findall(r"^curl .*/api/v1/uploads.*$", page, re.MULTILINE)
    assert len(lines) == 2
    (tmp_path / "talk.mp3").write_bytes(JFK)

    done = subprocess.run(
        [*shlex.split(lines[place].replace(SERVER, server_url)), "-sS", "--fail-with-body"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = recent_transcriptions(request_store.postgres)
    assert row.id in done.stdout
    assert row.options.language == "en"
    assert get_media(request_store.postgres, row.media_id).title == "talk"
