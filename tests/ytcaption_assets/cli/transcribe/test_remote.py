"""`ytcaption transcribe --server` as users run it, against a real server."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.conftest import World, dagster_home, keys, server_url, serving, world  # noqa: F401
from tests.api.keys import Keys
from tests.support.finisher import Finisher
from tests.support.patience import wait_for
from tests.support.rows import recent_transcriptions
from tests.support.servers.media_server import DATA
from tests.support.transcripts import transcript_of
from ytcaption.client.client import Client
from ytcaption.domain.captions.formats import CaptionFormat, render
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.settings.settings import Settings

URL = "https://youtu.be/dQw4w9WgXcQ"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The working directory of the command."""
    folder = tmp_path / "person"
    folder.mkdir()
    return folder


@pytest.fixture
def environment(folder: Path) -> dict[str, str]:
    """The environment of a user without a ytcaption home."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith("YTCAPTION_")}
    return usual | {"YTCAPTION_HOME": str(folder / "home"), "COLUMNS": "200"}


@pytest.fixture
def run(folder: Path, environment: dict[str, str]) -> Run:
    """Return a function that runs the command."""

    def command(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ytcaption_assets.cli.main", "transcribe", *arguments],
            cwd=folder,
            env=environment | more,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return command


@pytest.mark.long
def test_urls_and_files_are_transcribed_and_nothing_is_started_locally(
    run: Run,
    server_url: str,
    world: World,
    folder: Path,
) -> None:
    """Texts, files and exit status are those without a server; no database or home is made."""
    with Finisher(world):
        done = run("--server", server_url, URL, str(DATA / "jfk.flac"), "--language", "en")

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ask not what your country can do for you") == 2
    assert "uploading: " in done.stderr and "transcribing: " in done.stderr
    names = sorted(path.name for path in (folder / "captions").iterdir())
    media = [row.media_id for row in recent_transcriptions(world.request_store.postgres)]
    expected = {(title, id) for title, id in zip(("jfk", "Ask not"), media, strict=True)}
    assert names == sorted(
        f"{title} [{id}]{suffix}" for title, id in expected for suffix in (".json", ".srt", ".vtt")
    )
    (video,) = (
        row for row in recent_transcriptions(world.request_store.postgres) if "youtube" in row.id
    )
    srt = folder / "captions" / f"Ask not [{video.media_id}].srt"
    assert srt.read_text() == render(transcript_of(video.id), CaptionFormat.SRT)
    assert not (folder / "home").exists()

    again = run("--server", server_url, URL, "--format", "txt", "--language", "en")
    assert again.returncode == 0 and "from the store" in again.stderr


@pytest.mark.slow
def test_failures_are_reported_and_other_sources_transcribed(
    run: Run,
    server_url: str,
    world: World,
    folder: Path,
) -> None:
    """The exit status is 1; each failure has the server's reason and no traceback."""
    (folder / "empty.mp3").touch()
    with Finisher(world):
        failed = run("--server", server_url, URL, "--hotwords", "fail")
        mixed = run("--server", server_url, "ftp://x.invalid/a", "gone.mp3", "empty.mp3", URL)

    assert (failed.returncode, failed.stdout) == (1, "")
    assert "The video is private." in failed.stderr
    assert mixed.returncode == 1 and "ask not" in mixed.stdout
    assert mixed.stderr.count("failed ") == 3
    assert "There is no file gone.mp3" in mixed.stderr and "empty.mp3 is empty" in mixed.stderr
    assert "Traceback" not in failed.stderr + mixed.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--server", "http://127.0.0.1:9", URL), 1, "There is no answer from http://127.0.0.1:9"),
        (("--server", "127.0.0.1:9", URL), 2, "Write http://host:8000"),
        (("--server", "http://a:b@host", URL), 2, "YTCAPTION_API_KEY"),
        (("--server", "http://127.0.0.1:9", "--task", "sing", URL), 2, "Unknown task 'sing'"),
        (("--server", "http://127.0.0.1:9", "--captions", "x", URL), 2, "Unknown captions 'x'"),
        (("--captions", "x", URL), 2, "Unknown captions 'x'"),
        (("--server", "http://127.0.0.1:9", "--format", "doc", URL), 2, "doc"),
    ],
)
def test_an_error_is_one_sentence(
    run: Run, arguments: tuple[str, ...], status: int, message: str
) -> None:
    """The exit status is that of wrong usage or of a failure."""
    done = run(*arguments)
    assert done.returncode == status
    assert message in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_api_key_comes_from_the_settings(
    run: Run,
    settings: Settings,
    keys: Keys,
    world: World,
) -> None:
    """Without it the error says what to do. It is in no output."""
    token = keys.header("anna")["Authorization"].removeprefix("Bearer ")
    with serving(settings) as url, Finisher(world):
        without = run("--server", url, URL)
        with_key = run("--server", url, URL, YTCAPTION_API_KEY=token)

    assert without.returncode == 1 and "key" in without.stderr
    assert with_key.returncode == 0, with_key.stderr
    assert token not in with_key.stdout + with_key.stderr


@pytest.mark.slow
def test_force_transcribes_again(
    run: Run,
    server_url: str,
    world: World,
) -> None:
    """A completed transcription gets another attempt."""
    with Finisher(world):
        assert run("--server", server_url, URL).returncode == 0
        (before,) = recent_transcriptions(world.request_store.postgres)
        again = run("--server", server_url, "--force", URL)
    (after,) = recent_transcriptions(world.request_store.postgres)
    assert again.returncode == 0 and "from the store" not in again.stderr
    assert after.attempt == before.attempt + 1


@pytest.mark.slow
def test_ctrl_c_leaves_the_work_to_the_server(
    server_url: str,
    world: World,
    folder: Path,
    environment: dict[str, str],
) -> None:
    """The exit status is 130 and the URL is printed; the transcription is still queued."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "ytcaption_assets.cli.main",
            "transcribe",
            "--server",
            server_url,
            URL,
        ],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: recent_transcriptions(world.request_store.postgres))
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, output = process.communicate(timeout=20)

    (row,) = recent_transcriptions(world.request_store.postgres)
    assert process.returncode == 130 and "Traceback" not in output
    assert f"{server_url}/api/v1/transcriptions/{row.id}" in output
    with Client(server_url) as client:
        assert client.get(row.id).status is TranscriptionStatus.QUEUED


@pytest.mark.slow
def test_a_transcription_erased_meanwhile_fails_and_others_complete(
    run: Run,
    server_url: str,
    world: World,
    dagster_home: Path,
) -> None:
    """The server refuses to report on the first; the other one is waited for."""

    def erase_the_first() -> None:
        with Client(server_url) as client:
            while True:
                time.sleep(0.2)
                ids = {each.media.url: each.id for each in client.list()}
                if len(ids) == 2:
                    client.delete(ids["https://www.youtube.com/watch?v=dQw4w9WgXcQ"])
                    return

    eraser = threading.Thread(target=erase_the_first)
    eraser.start()
    with Finisher(world, pause_s=4):
        done = run("--server", server_url, URL, "https://youtu.be/jNQXAC9IVRw")
    eraser.join()
    assert done.returncode == 1
    assert "failed " in done.stderr and "done Ask not" in done.stderr
    assert "erased" in done.stderr or "It was canceled." in done.stderr  # as it was seen
