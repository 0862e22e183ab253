"""Every option that yt-dlp runs with, made in one place."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from resources.download.resume import MEDIA_FILE
from ytcaption.domain.caption_choice import CaptionsWanted

# Downloaders of yt-dlp's own that speak HTTP; all others start a program or open a socket.
_PROTOCOLS = "[protocol~='^(https?|m3u8|m3u8_native|http_dash_segments)$']"
# Speech needs no large picture: where sound comes only with one, 480 lines are enough.
_FORMAT = "/".join(
    f"{choice}{_PROTOCOLS}"
    for choice in ("bestaudio", "best[height<=?480]", "best", "bestaudio*")
)  # fmt: skip


MOST_WARNINGS = 50


@dataclass(frozen=True, kw_only=True)
class GoingOut:
    """What the operator gives yt-dlp on its way, as in `egress_route.EgressRoute`."""

    cookies: str | None = field(default=None, repr=False)
    user_agent: str | None = None
    clients: Sequence[str] = ()
    po_token_provider: str | None = None
    po_token_url: str | None = None


@dataclass(frozen=True)
class DownloadJob(GoingOut):
    """What the parent process orders.

    Attributes:
        extractor: yt-dlp's key of the one that resolved the URL.
        max_bytes: largest media.
        max_audio_s: longest media, as far as the source states it.
        captions: None: nobody looks for any.
        with_audio: False: captions or nothing.
        reference: captions to fetch beside the audio; None: none.
    """

    media_id: str
    url: str
    kind: Literal["site", "direct"]
    extractor: str
    proxy: str
    max_bytes: int
    max_audio_s: float
    socket_timeout_s: float
    captions: CaptionsWanted | None = None
    with_audio: bool = True
    reference: CaptionsWanted | None = None


@dataclass(frozen=True)
class ListingJob(GoingOut):
    """What the parent process orders where a list is to be read.

    Attributes:
        kind: `playlist`: a page or manifest that yt-dlp's generic extractor lists.
        extractor: yt-dlp's key of the one that resolved the URL.
        max_items: of the whole list; what comes after is left out.
        start: place of the first item wanted, from 0.
        size: items a page.
        each_list: of a channel that is several lists (tabs, seasons) the first `size` items of each
            come, and no more.
        one_is_a_list: a page with one player is a list of one: it was longer once.
    """

    url: str
    kind: Literal["site", "playlist"]
    extractor: str
    proxy: str
    socket_timeout_s: float
    max_items: int
    start: int = 0
    size: int = 100
    each_list: bool = False
    one_is_a_list: bool = False


def ytdlp_options(
    job: DownloadJob | ListingJob, deno: str | None, provider_keys: Sequence[str] = ()
) -> Any:
    """Every option that yt-dlp runs with. The working folder is the job's own.

    Args:
        provider_keys: of the PO token providers that are loaded.
    """
    return {
        # Where it may go: through the proxy, with nobody's identity but what the operator gives
        # for this site.
        "proxy": job.proxy,
        "allowed_extractors": _EXTRACTORS[job.kind],
        "socket_timeout": job.socket_timeout_s,
        # certifi's authorities, or those of a file that the operator names.
        "compat_opts": ["no-certifi"] if "SSL_CERT_FILE" in os.environ else [],
        "enable_file_urls": False,
        "cookiefile": io.StringIO(job.cookies) if job.cookies else None,
        "http_headers": {"User-Agent": job.user_agent} if job.user_agent else {},
        "extractor_args": _extractor_args(job, provider_keys),
        "cookiesfrombrowser": None,
        "usenetrc": False,
        "geo_bypass": False,
        # What it may run: nothing but deno for YouTube's player. Plugins are off by environment.
        "external_downloader": {"default": "native"},
        "hls_prefer_native": True,
        "ffmpeg_location": "/nonexistent",
        "fixup": "never",
        "js_runtimes": {"deno": {"path": deno}} if deno else {},
        "remote_components": [],
        "cachedir": False,
        # How it goes on after a failure, and tells of it.
        "retries": 3,
        "fragment_retries": 3,
        "extractor_retries": 2,
        "retry_sleep_functions": {"http": _pause, "fragment": _pause, "extractor": _pause},
        "ignoreerrors": False,
        "logger": _Silence(),
        "noprogress": True,
        "quiet": True,
        **(_download_options(job) if isinstance(job, DownloadJob) else _LISTING_OPTIONS),
    }


_EXTRACTORS = {
    "site": ["default", "-generic"],
    "direct": ["generic"],
    "playlist": ["generic", "html5"],  # the players of a page are html5's
}

# Entries are taken from the extractor one by one, and none is looked into.
_LISTING_OPTIONS: Any = {
    "extract_flat": True,
    "lazy_playlist": True,
    "noplaylist": False,
}
_LISTING_ARGUMENTS = {
    # YouTube's lists say `2 years ago`.
    "youtubetab": {"approximate_date": [""]},
    # A page that does not come is a failure, not the end of the list.
    "youtube": {"raise_incomplete_data": [""]},
}


def _download_options(job: DownloadJob) -> dict[str, Any]:
    return {
        # What it takes.
        "format": _FORMAT,
        # Extractors list captions where they are to be written; what is written we choose.
        "writesubtitles": job.captions is not None or job.reference is not None,
        "noplaylist": True,
        "playlist_items": "1:2",
        "extract_flat": "in_playlist",
        "allow_unplayable_formats": False,
        "live_from_start": False,
        # How it writes: one file of our name, resumed, never with a hole.
        "outtmpl": {"default": MEDIA_FILE},
        "continuedl": True,
        "nopart": False,
        "updatetime": False,
        "skip_unavailable_fragments": False,
        # A stream is joined from its whole parts again: yt-dlp's own record of what is joined
        # already (`.ytdl`) is behind the file when the process is killed.
        "keep_fragments": True,
        "_no_ytdl_file": True,
    }


def _extractor_args(
    job: DownloadJob | ListingJob, provider_keys: Sequence[str]
) -> dict[str, dict[str, list[str]]]:
    given = _LISTING_ARGUMENTS if isinstance(job, ListingJob) else {}
    arguments = {name: dict(value) for name, value in given.items()}
    if job.clients:
        arguments.setdefault("youtube", {})["player_client"] = list(job.clients)
    if job.po_token_url is not None:
        for key in provider_keys:
            arguments[f"youtubepot-{key.lower()}"] = {"base_url": [job.po_token_url]}
    return arguments


class _Silence:
    """yt-dlp's messages reach people as our errors only.

    Attributes:
        warnings: the first of them: they tell why formats are missing.
    """

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def debug(self, message: str) -> None:
        """Drop it."""

    info = error = debug

    def warning(self, message: str) -> None:
        """Keep it."""
        if len(self.warnings) < MOST_WARNINGS:
            self.warnings.append(message[:500])


def _pause(n: int) -> float:
    return min(0.25 * 2**n, 2)
