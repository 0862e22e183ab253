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
from resources.audio.samples import file_of
from resources.processes import forked_child
from resources.processes.forked_child import ForkedChild
from tests.resources.channels.listings import lister
from tests.resources.download.downloads import direct, download_audio, downloader
from tests.support.paths import DATA, ROOT
from tests.support.servers.channel_host import ChannelHost
from tests.support.servers.media_server import MediaServer
from tests.support.workers import wait_for
from ytcaption.domain.errors import (
    AudioUndecodable,
    ClaimLost,
    DownloadCrashed,
    MediaTooLong,
    NotMedia,
)
from ytcaption_assets.cli.up.health import child_server_answers

MEMORY = 1 << 30
SECRET = "not-for-strangers"


class ChildServerProcess:
    """A child server with a secret in the environment it is started with."""

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
    found = ChildServerProcess()
    yield found
    found.stop()


@pytest.fixture(autouse=True)
def _answers(server):
    """And no fresh interpreter is what a test saw."""
    if server.process.poll() is not None:
        server.start()
    yield
    if server.process.poll() is None:
        wait_for(lambda: not server.children)


@pytest.fixture
def no_fresh(monkeypatch):
    """Nothing is started but by the server."""

    def refuse(*_arguments, **_more):
        raise AssertionError("a fresh interpreter was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)


@pytest.mark.usefixtures("no_fresh")
def test_audio_is_the_same(server):
    """Headers and samples, as by a fresh interpreter."""
    path = DATA / "stereo-2spk.wav"
    found = probe(path, memory_bytes=MEMORY, server=server.socket)
    assert (found.container, found.channels) == ("wav", 2)
    samples = decode(path, max_audio_s=600, memory_bytes=MEMORY, server=server.socket)
    assert len(samples) == pytest.approx((found.duration_s or 0) * 16_000, abs=1_600)


def test_samples_are_the_same(server):
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
    """Those of a fresh interpreter."""
    with pytest.raises(error):
        decode(
            DATA / name,
            **{"max_audio_s": 600, "memory_bytes": MEMORY} | limits,
            server=server.socket,
        )


def test_a_listing(server, request):
    """A feed, and a page by the real yt-dlp."""
    found = lister(child_server=str(server.socket))
    with ChannelHost() as host:
        feed = found.source_of(host.podcast("news", 3))
        found.newest(feed, {})  # a library of the guarded client's asks a program for another
        request.getfixturevalue("no_fresh")
        players = b"".join(b"<audio src=/episodes/%d/jfk.flac></audio>" % n for n in (1, 2))
        page = found.source_of(host.serve("talks.html", players))
        assert len(found.newest(feed, {}).items) == 3
        assert len(found.newest(page, {}).items) == 2


@pytest.mark.usefixtures("no_fresh")
def test_a_download(server, tmp_path):
    """By the real yt-dlp, through the proxy."""
    with MediaServer(DATA) as media:
        found = download_audio(
            downloader(child_server=str(server.socket)),
            direct(media.url("jfk.flac")),
            tmp_path,
            lambda *_: None,
        )
    assert found.path.read_bytes() == (DATA / "jfk.flac").read_bytes()


def stalled(server, media, folder, during):
    """A download that stands still while something happens."""

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


def test_a_child_knows_no_secret_and_works_where_it_should(server, tmp_path):
    """What it is given is all; one thread forks it, in a session of its own."""
    seen = {}

    def look() -> None:
        (child,) = server.children
        seen["environment"] = Path(f"/proc/{child.pid}/environ").read_text()
        seen["memory"] = SECRET in json.dumps(child.environ())
        seen["cwd"] = child.cwd()
        seen["session"] = os.getsid(child.pid) == child.pid
        raise ClaimLost("seen enough")

    with MediaServer(DATA) as media, pytest.raises(ClaimLost):
        stalled(server, media, tmp_path, look)
    assert SECRET not in seen["environment"]
    assert seen["cwd"] == str(tmp_path)
    assert seen["session"]
    assert SECRET not in json.dumps(psutil.Process(server.process.pid).environ())
    assert psutil.Process(server.process.pid).num_threads() == 1


def test_who_hangs_up_ends_the_child(server):
    """As a run that is killed does."""
    child = ForkedChild.start(server.socket, "download", environment={}, directory=server.folder)
    assert child is not None and child.poll() is None
    process = psutil.Process(child.pid)
    child._connection.close()
    wait_for(lambda: not process.is_running())


def test_a_killed_child_is_told(server):
    """With its signal."""
    child = ForkedChild.start(server.socket, "download", environment={})
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait(10) == -signal.SIGKILL
    assert not child.is_lost


def test_a_killed_server_takes_its_children_along(server, tmp_path):
    """The download fails, and can be tried again; the next starts by itself."""
    with MediaServer(DATA) as media, pytest.raises(DownloadCrashed):
        stalled(server, media, tmp_path, server.process.kill)
    server.process.wait()
    samples = decode(DATA / "jfk.flac", max_audio_s=600, memory_bytes=MEMORY, server=server.socket)
    assert len(samples) == 176_000


def test_decoding_is_begun_anew_where_the_server_dies(server):
    """Nothing is said of the file, which is not to blame."""
    path = DATA / "sonnet-en.mp3"
    fresh = decode(path, max_audio_s=600, memory_bytes=MEMORY)
    start = ForkedChild.start

    def start_and_kill(*arguments, **more):
        child = start(*arguments, **more)
        server.process.kill()
        return child

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ForkedChild, "start", start_and_kill)
        again = decode(path, max_audio_s=600, memory_bytes=MEMORY, server=server.socket)
    assert np.array_equal(fresh, again)
    assert server.process.wait() == -signal.SIGKILL


def test_a_server_that_answers_too_late_does_nothing(server, monkeypatch):
    """A machine that is busy: a fresh interpreter has decoded by then, into the same file."""
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
    file = file_of(late)
    assert file is not None and file.stat().st_size == alone.nbytes


@pytest.mark.parametrize(
    "line",
    [b"", b"\n", b"[]\n", b'{"program": 1}\n', b"\xff\n", b'{"program": "sh"}\n', b"x" * 70_000],
)
def test_nonsense_does_not_end_the_server(server, line):
    """Whoever sends it is hung up on, or told why."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(server.socket))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            assert b"pid" not in connection.recv(1024)
    assert child_server_answers(server.socket)


def test_changed_code_is_taken_up(tmp_path):
    """The server becomes fresh with the same number; a child under way goes on."""
    for package in ("resources", "ytcaption", "ytcaption_assets", "sensors"):
        (tmp_path / package).symlink_to(ROOT / package)
    mine = tmp_path / "resources"
    mine.unlink()
    mine.mkdir()
    for entry in (ROOT / "resources").iterdir():
        (mine / entry.name).symlink_to(entry)
    server = ChildServerProcess(tmp_path)
    try:
        under_way = ForkedChild.start(server.socket, "download", environment={})
        assert under_way is not None
        (mine / "new_module.py").write_text("")
        number = server.process.pid
        samples = decode(
            DATA / "jfk.flac", max_audio_s=600, memory_bytes=MEMORY, server=server.socket
        )
        assert len(samples) == 176_000
        assert under_way.poll() is None
        time.sleep(0.2)
        assert server.process.poll() is None and server.process.pid == number
        under_way.kill()
        assert under_way.wait(10) == -signal.SIGKILL
        assert not under_way.is_lost
    finally:
        server.stop()
