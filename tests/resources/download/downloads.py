"""Downloads from loopback, for the tests of the downloader."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import psutil

from resources.download.downloader import Download, Downloader
from resources.sites.resolve import resolve_source
from tests.support.patience import patience
from ytcaption.domain.media.media import MediaSource

LOOPBACK = ["127.0.0.0/8"]


def downloader(**overrides: object) -> Downloader:
    values: dict[str, object] = {
        "allowed_networks": LOOPBACK,
        "max_download_bytes": 20_000_000,
        "max_audio_s": 3600,
        "download_timeout_s": 60 * patience(),
        "socket_timeout_s": 5 * patience(),
    }
    return Downloader(**{**values, **overrides})  # pyright: ignore[reportArgumentType]


def direct(url: str) -> MediaSource:
    return resolve_source(url, sites=("youtube",), allowed_networks=LOOPBACK)


def download_audio(
    downloader: Downloader,
    source: MediaSource,
    folder: Path,
    on_progress: Callable[[int, int | None], None],
    should_stop: Callable[[], bool] = lambda: False,
) -> Download:
    """Download a media item's audio without looking for captions."""
    download = downloader.captions_or_audio(source, folder, None, on_progress, should_stop)
    assert isinstance(download, Download)
    return download


def fetch(url: str, folder: Path, **overrides: object) -> Download:
    return download_audio(downloader(**overrides), direct(url), folder, lambda done, total: None)


def children() -> list[psutil.Process]:
    """The yt-dlp processes of this one."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "resources.download.download_child" in " ".join(process.cmdline()):
                found.append(process)
    return found
