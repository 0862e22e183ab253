"""Downloaders and decoders forked by the child server, in real processes."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from resources.audio.decoder import decode, probe
from resources.audio.samples import mapped_path
from resources.processes import forked_child
from resources.processes.forked_child import ForkedChild
from tests.resources.channels.listings import lister
from tests.resources.download.downloads import direct, download_audio, downloader
from tests.support.descriptors import many_descriptors
from tests.support.paths import DATA, ROOT
from tests.support.patience import wait_for
from tests.support.servers.channel_host import ChannelHost
from tests.support.servers.media_server import MediaServer
from ytcaption.domain.errors import (
    AudioUndecodable,
    ClaimLost,
    DownloadCrashed,
    MediaTooLong,
    NotMedia,
)
from ytcaption_assets.cli.up.health import child_server_answers

MEMORY = 1 << 30
SECRET = "not-for-children"


class ChildServerProcess:
    """A child server, started with a secret in its environment."""

    def __init__(self, code: Path = ROOT) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="children-"))
        self.socket = self.folder / "children.sock"
        self._code = code
        self.start()

    def start(self) -> None:
        environment = os.environ | {"YTCAPTION_DATABASE_URL": SECRET, "PYTHONPATH": str(self._code)}
        command = [sys.executable, "-P", "-m", "resources.child_server", str(self.socket)]
        self.process = subprocess.Popen(command, env=environment, cwd=self.folder)
        wait_for(lambda: child_server_answers(self.socket), 60)

    @property
    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


@pytest.fixture(scope="module")
def server() -> Iterator[ChildServerProcess]:
    process = ChildServerProcess()
    yield process
    process.stop()


@pytest.fixture(autouse=True)
def _answers(server):
    """Start the server if it has died; wait for the end of its children."""
    if server.process.poll() is not None:
        server.start()
    yield
    if server.process.poll() is None:
        wait_for(lambda: not server.children)


@pytest.fixture
def no_fresh(monkeypatch):
    """Forbid new interpreters: only the server starts children."""

    def refuse(*_arguments, **_options):
        raise AssertionError("a new interpreter was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)


@pytest.mark.slow
@pytest.mark.usefixtures("no_fresh")
def test_audio_is_the_same(server):
    """Headers and samples are those of a new interpreter."""
    path = DATA / "stereo-2spk.wav"
    headers = probe(path, memory_bytes=MEMORY, server=server.socket)
    assert (headers.container, headers.channels) == ("wav", 2)
    samples = decode(path, max_audio_s=600, memory_bytes=MEMORY, server=server.socket)
    assert len(samples) == pytest.approx((headers.duration_s or 0) * 16_000, abs=1_600)


@pytest.mark.long
def test_samples_are_the_same(server):
    """A forked decoder gives the same samples as one that was started."""
    path = DATA / "jfk.flac"
    forked = decode(path, max_audio_s=600, memory_bytes=MEMORY, server=server.socket)
    assert np.array_equal(forked, decode(path, max_audio_s=600, memory_bytes=MEMORY))


@pytest.mark.usefixtures("no_fresh")
@pytest.mark.parametrize(
    ("name", "limits", "error"),
    [
        ("broken-not-audio.mp3", {}, NotMedia),
        ("sonnet-en.mp3", {"max_audio_s": 3}, MediaTooLong),
        ("sonnet-en.mp3", {"memory_bytes": 64 << 20}, AudioUndecodable),
    ],
)
def test_limits_hold(server, name, limits, error):
    """They are those of a new interpreter."""
    with pytest.raises(error):
        decode(
            DATA / name,
            **{"max_audio_s": 600, "memory_bytes": MEMORY} | limits,
            server=server.socket,
        )


def test_a_listing(server, request):
    """A feed is listed, and a page by the real yt-dlp."""
    channel_lister = lister(child_server=str(server.socket))
    with ChannelHost() as host:
        feed = channel_lister.source_of(host.podcast("news", 3))
        channel_lister.newest(feed, {})  # its HTTP library runs a program to find another library
        request.getfixturevalue("no_fresh")
        players = b"".join(b"<audio src=/episodes/%d/jfk.flac></audio>" % n for n in (1, 2))
        page = channel_lister.source_of(host.serve("talks.html", players))
        assert len(channel_lister.newest(feed, {}).items) == 3
        assert len(channel_lister.newest(page, {}).items) == 2


def downloaded(server, media, folder):
    """Download the recording by a child of the server."""
    by_child = downloader(child_server=str(server.socket))
    return download_audio(by_child, direct(media.url("jfk.flac")), folder, lambda *_: None)


@pytest.mark.usefixtures("no_fresh")
def test_a_download(server, tmp_path):
    """The real yt-dlp downloads through the proxy."""
    with MediaServer(DATA) as media:
        download = downloaded(server, media, tmp_path)
    assert download.path.read_bytes() == (DATA / "jfk.flac").read_bytes()


@pytest.mark.usefixtures("no_fresh")
def test_a_process_with_thousands_of_descriptors_has_children(server, tmp_path):
    """A decoder and a download whose pipes are above 1,023, as in a busy API."""
    with many_descriptors(), MediaServer(DATA) as media:
        assert probe(DATA / "jfk.flac", memory_bytes=MEMORY, server=server.socket).channels == 1
        download = downloaded(server, media, tmp_path)
    assert download.path.read_bytes() == (DATA / "jfk.flac").read_bytes()


def stalled(server, media, folder, during):
    """Run a download that stalls, and call `during` meanwhile."""

    def stop() -> bool:
        if media.bytes_sent("/stall/jfk.flac"):
            during()
        return False

    download_audio(
        downloader(child_server=str(server.socket), download_timeout_s=30),
        direct(media.url("stall/jfk.flac")),
        folder,
        lambda *_: None,
        stop,
    )


def test_a_child_has_no_secret_and_the_right_directory(server, tmp_path):
    """It has only the given environment; a single-threaded server forks it, in its own session."""
    seen = {}

    def inspect() -> None:
        (child,) = server.children
        seen["environment"] = Path(f"/proc/{child.pid}/environ").read_text()
        seen["memory"] = SECRET in json.dumps(child.environ())
        seen["cwd"] = child.cwd()
        seen["session"] = os.getsid(child.pid) == child.pid
        raise ClaimLost("seen enough")

    with MediaServer(DATA) as media, pytest.raises(ClaimLost):
        stalled(server, media, tmp_path, inspect)
    assert SECRET not in seen["environment"]
    assert seen["cwd"] == str(tmp_path)
    assert seen["session"]
    assert SECRET not in json.dumps(psutil.Process(server.process.pid).environ())
    assert psutil.Process(server.process.pid).num_threads() == 1


def test_closing_the_connection_ends_the_child(server):
    """The child also ends if the run is killed, which closes the connection."""
    child = ForkedChild.start(server.socket, "download", environment={}, directory=server.folder)
    assert child is not None and child.poll() is None
    process = psutil.Process(child.pid)
    child._connection.close()
    wait_for(lambda: not process.is_running())


def test_a_killed_child_is_reported(server):
    """The error names the signal."""
    child = ForkedChild.start(server.socket, "download", environment={})
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait(10) == -signal.SIGKILL
    assert not child.is_lost


@pytest.mark.long
def test_children_die_with_a_killed_server(server, tmp_path):
    """The download fails retryably; the next child starts without the server."""
    with MediaServer(DATA) as media, pytest.raises(DownloadCrashed):
        stalled(server, media, tmp_path, server.process.kill)
    server.process.wait()
    samples = decode(DATA / "jfk.flac", max_audio_s=600, memory_bytes=MEMORY, server=server.socket)
    assert len(samples) == 176_000


@pytest.mark.slow
def test_decoding_is_restarted_if_the_server_dies(server):
    """No error is reported for the file, which is not the cause."""
    path = DATA / "sonnet-en.mp3"
    expected = decode(path, max_audio_s=600, memory_bytes=MEMORY)
    start = ForkedChild.start

    def start_and_kill(*arguments, **more):
        child = start(*arguments, **more)
        server.process.kill()
        return child

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ForkedChild, "start", start_and_kill)
        again = decode(path, max_audio_s=600, memory_bytes=MEMORY, server=server.socket)
    assert np.array_equal(expected, again)
    assert server.process.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_a_server_that_answers_too_late_does_nothing(server, monkeypatch):
    """On a busy machine a new interpreter has decoded by then, into the same file."""
    path = DATA / "sonnet-en.mp3"
    alone = decode(path, max_audio_s=600, memory_bytes=MEMORY)
    monkeypatch.setattr(forked_child, "ANSWER_S", 0.2)
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        late = decode(path, max_audio_s=600, memory_bytes=MEMORY, server=server.socket)
    finally:
        os.kill(server.process.pid, signal.SIGCONT)
    assert child_server_answers(server.socket)
    wait_for(lambda: not server.children)
    assert np.array_equal(late, alone)
    file = mapped_path(late)
    assert file is not None and file.stat().st_size == alone.nbytes


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"[]\n", b'{"program": 1}\n', b"\xff\n", b'{"program": "sh"}\n', b"x" * 70_000],
)
@pytest.mark.long
def test_invalid_requests_do_not_end_the_server(server, line):
    """The connection is closed, or the reason is sent."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(server.socket))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert b"pid" not in connection.recv(1024)
    assert child_server_answers(server.socket)


@pytest.mark.slow
def test_changed_code_restarts_the_server(tmp_path):
    """The server restarts with the same process number; a running child continues."""
    for package in ("resources", "ytcaption", "ytcaption_assets", "sensors"):
        (tmp_path / package).symlink_to(ROOT / package)
    mine = tmp_path / "resources"
    mine.unlink()
    mine.mkdir()
    for entry in (ROOT / "resources").iterdir():
        (mine / entry.name).symlink_to(entry)
    server = ChildServerProcess(tmp_path)
    try:
        running = ForkedChild.start(server.socket, "download", environment={})
        assert running is not None
        (mine / "new_module.py").write_text("")
        number = server.process.pid
        samples = decode(
            DATA / "jfk.flac", max_audio_s=600, memory_bytes=MEMORY, server=server.socket
        )
        assert len(samples) == 176_000
        assert running.poll() is None
        time.sleep(0.2)
        assert server.process.poll() is None and server.process.pid == number
        running.kill()
        assert running.wait(10) == -signal.SIGKILL
        assert not running.is_lost
    finally:
        server.stop()
