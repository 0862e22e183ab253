"""Downloads with the real yt-dlp from a web server on loopback."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from resources.download.downloader import Downloader
from tests.resources.download.downloads import children, direct, download_audio, downloader, fetch
from tests.support.patience import patience
from tests.support.servers.media_server import MediaServer
from ytcaption.domain.errors import (
    ClaimLost,
    DiskFull,
    DownloadCrashed,
    DrmProtected,
    EmptyFile,
    LiveNotOver,
    MediaNotFound,
    MediaPrivate,
    MediaRemoved,
    MediaRestricted,
    MediaTooLarge,
    MediaTooLong,
    PlaylistUrl,
    SourceBlocked,
    SourceError,
    SourceUnavailable,
    UnsupportedSite,
    YtcaptionError,
)
from ytcaption.settings.settings import Settings


@pytest.fixture
def server() -> Iterator[MediaServer]:
    with MediaServer() as running:
        yield running


@pytest.mark.long
def test_a_media_file_is_stored_as_it_came(server: MediaServer, tmp_path: Path) -> None:
    """The bytes are the server's, the name is ours, the title is the file's name."""
    reports: list[tuple[int, int | None]] = []
    url = server.url("jfk.flac")
    download = download_audio(downloader(), direct(url), tmp_path, lambda *now: reports.append(now))
    assert download.path == tmp_path / "media"
    assert download.path.read_bytes() == server.read("jfk.flac")
    assert (download.extension, download.size_bytes) == ("flac", 196_348)
    assert (download.info.title, download.info.webpage_url) == ("jfk", url)
    assert reports[-1] == (196_348, 196_348)
    assert not children()


@pytest.mark.slow
def test_progress_tells_the_bytes_as_they_come(server: MediaServer, tmp_path: Path) -> None:
    """Progress rises, and the total is the server's."""
    reports: list[tuple[int, int | None]] = []
    url = server.url("slow/jfk.flac", rate=200_000)
    download_audio(downloader(), direct(url), tmp_path, lambda *now: reports.append(now))
    assert len(reports) >= 3
    assert reports == sorted(reports)
    assert {total for _, total in reports} == {196_348}


@pytest.mark.parametrize(
    ("path", "extension"), [("hls/jfk.flac/index.m3u8", "ts"), ("dash/jfk.flac/index.mpd", "mp4")]
)
@pytest.mark.long
def test_streams_in_parts_become_one_whole_file(
    server: MediaServer, tmp_path: Path, path: str, extension: str
) -> None:
    """HLS and DASH are put together without ffmpeg: all eleven seconds, in order."""
    import av

    download = fetch(server.url(path), tmp_path)
    assert (download.extension, download.info.title) == (extension, "jfk")
    with av.open(str(download.path)) as media:
        samples = sum(frame.samples for frame in media.decode(audio=0))
        assert samples / media.streams.audio[0].sample_rate == pytest.approx(11, abs=0.2)


@pytest.mark.parametrize(
    "path", ["norange/jfk.flac", "noetag/jfk.flac", "as/jfk.flac?type=text/plain",
             "as/jfk.flac?type=application/octet-stream", "cut/jfk.flac?after=100000&times=2"]
)  # fmt: skip
@pytest.mark.long
def test_odd_servers_are_coped_with(server: MediaServer, tmp_path: Path, path: str) -> None:
    """No ranges, no ETag, wrong types and a connection that breaks off once or twice do no harm."""
    download = fetch(server.url("") + path, tmp_path)
    assert download.path.read_bytes() == server.read("jfk.flac")
    assert download.extension == "flac"


def test_names_from_the_internet_become_no_path(server: MediaServer, tmp_path: Path) -> None:
    """A file name with separators and a program's extension changes no name of ours."""
    data = server.read("jfk.flac")
    assert data is not None
    server.serve("..\n%2f$(id)`.exe", data)
    (tmp_path / "work").mkdir()
    download = fetch(server.url("..\n%2f$(id)`.exe"), tmp_path / "work")
    assert download.extension == "flac"
    assert {path.name for path in tmp_path.rglob("*")} == {"work", "media", "media.json"}
    assert download.info.title == ".. %2f$(id)`"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "error", "says"),
    [
        ("status/404", MediaNotFound, "404"),
        ("status/410", MediaRemoved, "410"),
        ("status/401", MediaPrivate, "401"),
        ("status/403", SourceBlocked, "403"),
        ("status/429?retry_after=3", SourceBlocked, "429"),
        ("status/451", MediaRestricted, "451"),
        ("status/500", SourceUnavailable, "500"),
        ("status/503", SourceUnavailable, "503"),
        ("status/418", SourceError, "418"),
        ("missing.mp3", MediaNotFound, "404"),
        ("redirect", SourceError, "circle"),
        ("page", UnsupportedSite, "web page"),
        ("page?src=http://127.0.0.1/a.mp3", UnsupportedSite, "web page"),
        ("feed/a.xml?src=http://127.0.0.1/a.mp3", PlaylistUrl, "list of media"),
        ("empty.mp3", EmptyFile, "empty"),
        ("live.m3u8", LiveNotOver, "live"),
        ("drm.m3u8", DrmProtected, "DRM"),
        ("hole.m3u8", MediaNotFound, "404"),
    ],
)
def test_each_failure_has_its_error_and_sentence(
    server: MediaServer, tmp_path: Path, path: str, error: type[YtcaptionError], says: str
) -> None:
    """The error is one sentence, without a traceback, a path or yt-dlp's advice."""
    server.serve("empty.mp3", b"")
    segment = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n%s#EXTINF:2,\n{server.url('missing.ts')}\n"
    key = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://key"\n'
    server.serve("live.m3u8", (segment % "").encode())
    server.serve("drm.m3u8", (segment % key + "#EXT-X-ENDLIST\n").encode())
    server.serve("hole.m3u8", (segment % "" + "#EXT-X-ENDLIST\n").encode())
    with pytest.raises(error, match=says) as caught:
        fetch(server.url("") + path, tmp_path)
    assert type(caught.value) is error
    message = str(caught.value)
    assert len(message) < 250 and message[0].isupper() and message.endswith(".")
    for leak in ("Traceback", str(tmp_path), "--", "ERROR", "yt-dlp", "\x1b"):
        assert leak not in message


@pytest.mark.slow
def test_a_broken_line_is_worth_another_attempt(server: MediaServer, tmp_path: Path) -> None:
    """A server that hangs up each time or falls silent is unavailable, which is retryable."""
    with pytest.raises(SourceUnavailable, match="broke off") as caught:
        fetch(server.url("cut/jfk.flac", after=20_000), tmp_path)
    assert caught.value.retryable
    with pytest.raises(SourceUnavailable, match="broke off"):
        fetch(server.url("stall/jfk.flac", after=0), tmp_path, socket_timeout_s=0.3)


@pytest.mark.long
def test_the_time_limit_ends_a_download(server: MediaServer, tmp_path: Path) -> None:
    """A server that sends just fast enough is ended all the same, and no process stays."""
    started = time.monotonic()
    with pytest.raises(SourceUnavailable, match="longer than allowed"):
        fetch(server.url("slow/jfk.flac", rate=10_000), tmp_path, download_timeout_s=1.5)
    assert time.monotonic() - started < 5 * patience()
    assert not children()


@pytest.mark.parametrize("path", ["jfk.flac", "endless/a.mp3", "hls/jfk.flac/index.m3u8"])
def test_more_bytes_than_allowed_are_not_taken(
    server: MediaServer, tmp_path: Path, path: str
) -> None:
    """Stated, counted or endless: not much more than the limit ever reaches the disk."""
    with pytest.raises(MediaTooLarge):
        fetch(server.url(path), tmp_path, max_download_bytes=50_000)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 110_000


@pytest.mark.long
def test_a_manifest_without_end_is_not_read_for_ever(server: MediaServer, tmp_path: Path) -> None:
    """Before the media begins, the proxy's allowance ends what a page sends."""
    server.serve("huge.mpd", b"<?xml version='1.0'?><html>" + b"<p>" * 30_000_000)
    with pytest.raises(MediaTooLarge):
        fetch(server.url("huge.mpd"), tmp_path)


@pytest.mark.long
def test_a_stream_longer_than_allowed_is_not_begun(server: MediaServer, tmp_path: Path) -> None:
    """The manifest's own length is enough to refuse it."""
    with pytest.raises(MediaTooLong, match="11 s"):
        fetch(server.url("hls/jfk.flac/index.m3u8"), tmp_path, max_audio_s=10)
    assert not any(served.path.endswith(".ts") for served in server.requests)


def test_a_full_disk_is_reported(server: MediaServer, tmp_path: Path) -> None:
    """ENOSPC while writing is DiskFull, which is retryable."""
    source = direct(server.url("jfk.flac"))
    (tmp_path / "media.json").write_text(
        f'{{"media_id": "{source.media_id}", "format_id": "flac", "version": {{}}}}'
    )
    (tmp_path / "media.part").symlink_to("/dev/full")
    with pytest.raises(DiskFull) as caught:
        download_audio(downloader(), source, tmp_path, lambda done, total: None)
    assert caught.value.retryable


@pytest.mark.long
def test_unreachable_servers_are_named(server: MediaServer, tmp_path: Path) -> None:
    """A missing name and a silent server have different messages; both may be retried."""
    with pytest.raises(SourceUnavailable, match=r"nowhere\.invalid has no address"):
        fetch("http://nowhere.invalid/a.mp3", tmp_path)
    with pytest.raises(SourceUnavailable, match=r"127\.0\.0\.1 does not answer"):
        fetch("http://127.0.0.1:9/a.mp3", tmp_path)


@pytest.mark.long
def test_a_stop_ends_the_process_group(server: MediaServer, tmp_path: Path) -> None:
    """When the run is no longer ours the child is gone within a moment."""
    stop = threading.Event()
    threading.Timer(1, stop.set).start()
    started = time.monotonic()
    with pytest.raises(ClaimLost):
        download_audio(
            downloader(),
            direct(server.url("stall/jfk.flac", after=1000)),
            tmp_path,
            lambda done, total: None,
            stop.is_set,
        )
    assert time.monotonic() - started < 4 * patience()
    assert not children()


def test_an_error_of_the_caller_ends_the_process_too(server: MediaServer, tmp_path: Path) -> None:
    """A progress callback that raises, as a lost claim does, leaves no process behind."""

    def lost(done: int, total: int | None) -> None:
        raise ClaimLost("Another run has taken over.")

    with pytest.raises(ClaimLost, match="taken over"):
        download_audio(
            downloader(), direct(server.url("slow/jfk.flac", rate=50_000)), tmp_path, lost
        )
    assert not children()


def test_a_child_that_dies_is_worth_another_attempt(server: MediaServer, tmp_path: Path) -> None:
    """SIGKILL from outside, as by the kernel out of memory, is an error with a sentence."""

    def kill(done: int, total: int | None) -> None:
        for child in children():
            child.kill()

    with pytest.raises(DownloadCrashed, match="ended unexpectedly"):
        download_audio(
            downloader(), direct(server.url("slow/jfk.flac", rate=50_000)), tmp_path, kill
        )


@pytest.mark.long
def test_the_child_gets_none_of_our_environment(
    server: MediaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Secrets and proxies of our own stay here; the proxy's token is in no argument."""
    monkeypatch.setenv("YTCAPTION_DATABASE_URL", "postgresql://user:secret@host/db")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    seen: list[tuple[dict[str, str], str]] = []

    def look(done: int, total: int | None) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            seen.extend((child.environ(), " ".join(child.cmdline())) for child in children())

    download_audio(downloader(), direct(server.url("slow/jfk.flac", rate=400_000)), tmp_path, look)
    environment, command = seen[0]
    assert not {name for name in environment if name.startswith(("YTCAPTION", "AWS", "HTTP"))}
    assert environment["YTDLP_NO_PLUGINS"] == "1"
    assert "http" not in command


def test_the_settings_become_the_limits() -> None:
    """from_settings carries the networks and limits over."""
    settings = Settings(
        allowed_networks=("10.0.0.0/8",), max_download_bytes=5, max_audio_s=6, download_timeout_s=7
    )
    built = Downloader.from_settings(settings)
    assert built.allowed_networks == ["10.0.0.0/8"]
    assert (built.max_download_bytes, built.max_audio_s, built.download_timeout_s) == (5, 6, 7)
    assert os.environ.get("YTCAPTION_MAX_AUDIO_S") is None
