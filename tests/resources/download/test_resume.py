"""An interrupted download goes on where it was, and only with the same bytes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.resources.download.downloads import children, direct, download_audio, downloader, fetch
from tests.support.patience import wait_for
from tests.support.servers.media_server import (
    MediaServer,
    Served,
)
from ytcaption.domain.errors import DownloadCrashed, MediaNotFound

CUT = 600_000


@pytest.fixture
def data() -> bytes:
    """One megabyte, unlike at every place."""
    return b"fLaC" + b"".join(number.to_bytes(4, "big") for number in range(250_000))


@pytest.fixture
def server(data: bytes) -> Iterator[MediaServer]:
    with MediaServer() as running:
        running.serve("talk.flac", data)
        yield running


def interrupt(url: str, folder: Path) -> int:
    """SIGKILL the child in the middle; the bytes it has left."""

    def kill(done: int, total: int | None) -> None:
        if done > 200_000:
            for child in children():
                child.kill()

    with pytest.raises(DownloadCrashed):
        download_audio(downloader(), direct(url), folder, kill)
    left = (folder / "media.part").stat().st_size
    assert left > 100_000
    return left


def media_requests(server: MediaServer, since: int) -> list[Served]:
    return [served for served in server.requests[since:] if served.range]


@pytest.mark.slow
def test_a_killed_download_goes_on_with_a_range(
    server: MediaServer, tmp_path: Path, data: bytes
) -> None:
    """The second call asks for the rest only, and the file is whole."""
    url = server.url("slow/talk.flac", rate=1_000_000)
    left = interrupt(url, tmp_path)
    since = len(server.requests)
    download = fetch(url, tmp_path)
    assert download.path.read_bytes() == data
    (rest,) = media_requests(server, since)
    assert (rest.status, rest.range) == (206, f"bytes={left}-")
    assert rest.bytes_sent == len(data) - left


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "size"), [("slow", 1_000_004), ("slow", 150_000), ("noetag", 1_200_000), ("noetag", 9)]
)
def test_other_bytes_at_the_same_link_are_fetched_again(
    server: MediaServer, tmp_path: Path, mode: str, size: int
) -> None:
    """A changed file is never joined to the old part: by ETag, or by size where there is none."""
    url = server.url(f"{mode}/talk.flac", rate=1_000_000)
    interrupt(url, tmp_path)
    changed = (b"fLaC" + b"other" * 240_000)[:size]
    server.serve("talk.flac", changed)
    download = fetch(url, tmp_path)
    assert download.path.read_bytes() == changed


@pytest.mark.slow
def test_a_server_that_ignores_ranges_sends_all_again(
    server: MediaServer, tmp_path: Path, data: bytes
) -> None:
    """A 200 to a Range request replaces the part instead of being appended."""
    url = server.url("norange/talk.flac", rate=1_000_000)
    interrupt(url, tmp_path)
    assert fetch(url, tmp_path).path.read_bytes() == data


@pytest.mark.slow
def test_a_part_of_another_media_is_thrown_away(
    server: MediaServer, tmp_path: Path, data: bytes
) -> None:
    """What lies in the folder counts only for the media it was begun for."""
    interrupt(server.url("slow/talk.flac", rate=1_000_000), tmp_path)
    other = fetch(server.url("jfk.flac"), tmp_path)
    assert other.path.read_bytes() == server.read("jfk.flac")


@pytest.mark.long
def test_a_finished_file_is_not_downloaded_again(server: MediaServer, tmp_path: Path) -> None:
    """A run that failed after its download finds it again."""
    first = fetch(server.url("talk.flac"), tmp_path)
    since = len(server.requests)
    assert fetch(server.url("talk.flac"), tmp_path) == first
    assert len(server.requests) == since + 1  # yt-dlp's look at the link


@pytest.mark.slow
def test_a_killed_stream_goes_on_with_the_next_part(server: MediaServer, tmp_path: Path) -> None:
    """HLS takes the whole segments it has, and none is in the file twice or missing."""
    folder, whole = tmp_path / "killed", tmp_path / "whole"
    folder.mkdir()
    whole.mkdir()
    url = server.url("hls/jfk.flac/index.m3u8")
    complete = fetch(url, whole).path.read_bytes()
    segments = [server.stream_file("hls", "jfk.flac", f"{number}.ts") for number in range(6)]
    slow = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n"
    for number, segment in enumerate(segments):
        assert segment is not None
        server.serve(f"{number}.ts", segment)
        slow += f"#EXTINF:2,\n{server.url(f'slow/{number}.ts', rate=60_000)}\n"
    server.serve("slow.m3u8", (slow + "#EXT-X-ENDLIST\n").encode())

    def kill(done: int, total: int | None) -> None:
        if done > 70_000:
            for child in children():
                child.kill()

    with pytest.raises(DownloadCrashed):
        download_audio(downloader(), direct(server.url("slow.m3u8")), folder, kill)
    # As if it had been killed between joining a part and taking note of it.
    joined = folder / "media.part"
    joined.write_bytes(complete[:60_000])
    since = len(server.requests)
    download = fetch(server.url("slow.m3u8"), folder)
    assert download.path.read_bytes() == complete
    again = [served.path for served in server.requests[since:]]
    assert "/slow/0.ts" not in again and "/slow/5.ts" in again
    assert {path.name for path in folder.iterdir()} == {"media", "media.json"}


@pytest.mark.slow
def test_parts_of_a_changed_stream_are_not_mixed(server: MediaServer, tmp_path: Path) -> None:
    """Another list of parts at the same link starts over."""
    first, second = b"A" * 5_000, b"B" * 5_000
    server.serve("a.ts", first)
    server.serve("b.ts", second)
    lines = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n%s#EXT-X-ENDLIST\n"
    parts = "".join(f"#EXTINF:2,\n{server.url(name)}\n" for name in ("a.ts", "missing.ts"))
    server.serve("talk.m3u8", (lines % parts).encode())
    with pytest.raises(MediaNotFound):
        fetch(server.url("talk.m3u8"), tmp_path)
    assert (tmp_path / "media.part-Frag1").read_bytes() == first
    server.serve("talk.m3u8", (lines % f"#EXTINF:2,\n{server.url('b.ts')}\n").encode())
    assert fetch(server.url("talk.m3u8"), tmp_path).path.read_bytes() == second


@pytest.mark.slow
def test_the_child_ends_with_its_parent(server: MediaServer, tmp_path: Path) -> None:
    """SIGKILL of the run's process leaves no yt-dlp behind."""
    url = server.url("stall/talk.flac", after=1000)
    code = (
        "from pathlib import Path\n"
        "from tests.resources.download.downloads import fetch\n"
        f"fetch({url!r}, Path({str(tmp_path)!r}))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as parent:
        wait_for(lambda: server.requests, 20)
        (child,) = psutil.Process(parent.pid).children()
        assert "resources.download.download_child" in " ".join(child.cmdline())
        os.kill(parent.pid, signal.SIGKILL)
    gone, alive = psutil.wait_procs([child], timeout=5)
    assert gone and not alive
