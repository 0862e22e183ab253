"""Every option that yt-dlp runs with."""

import io
import os
from collections.abc import Sequence
from typing import Any

from resources.download.protocol import DownloadJob, ListingJob
from resources.download.resume import MEDIA_FILE

# yt-dlp's own HTTP downloaders; all others start a program or open a socket.
_PROTOCOLS = "[protocol~='^(https?|m3u8|m3u8_native|http_dash_segments)$']"
# Where audio comes only with a picture, 480 lines are enough.
_FORMAT = "/".join(
    f"{choice}{_PROTOCOLS}"
    for choice in ("bestaudio", "best[height<=?480]", "best", "bestaudio*")
)  # fmt: skip

MAX_WARNINGS = 50


def ytdlp_options(
    job: DownloadJob | ListingJob, deno: str | None, provider_keys: Sequence[str] = ()
) -> Any:
    """Return every option that yt-dlp runs with. The process works in the job's own folder.

    Args:
        deno: path of its binary; None: without JavaScript.
        provider_keys: keys of the PO token providers that are loaded.
    """
    identity = job.identity
    return {
        # Network: only through the proxy, and with no identity but the operator's for this site.
        "proxy": job.proxy,
        "allowed_extractors": _EXTRACTORS[job.kind],
        "socket_timeout": job.socket_timeout_s,
        # certifi's authorities, or those of a file that the operator names.
        "compat_opts": ["no-certifi"] if "SSL_CERT_FILE" in os.environ else [],
        "enable_file_urls": False,
        "cookiefile": io.StringIO(identity.cookies) if identity.cookies else None,
        "http_headers": {"User-Agent": identity.user_agent} if identity.user_agent else {},
        "extractor_args": _extractor_args(job, provider_keys),
        "cookiesfrombrowser": None,
        "usenetrc": False,
        "geo_bypass": False,
        # Programs: only deno, for YouTube's player. The environment turns plugins off.
        "external_downloader": {"default": "native"},
        "hls_prefer_native": True,
        "ffmpeg_location": "/nonexistent",
        "fixup": "never",
        "js_runtimes": {"deno": {"path": deno}} if deno else {},
        "remote_components": [],
        "cachedir": False,
        # Retries and messages.
        "retries": 3,
        "fragment_retries": 3,
        "extractor_retries": 2,
        "retry_sleep_functions": {"http": _pause, "fragment": _pause, "extractor": _pause},
        "ignoreerrors": False,
        "logger": _WarningLog(),
        "noprogress": True,
        "quiet": True,
        **(_download_options(job) if isinstance(job, DownloadJob) else _LISTING_OPTIONS),
    }


_EXTRACTORS = {
    "site": ["default", "-generic"],
    "direct": ["generic"],
    "playlist": ["generic", "html5"],  # the players of a page are html5's
}

# Entries come from the extractor one by one, and none is opened.
_LISTING_OPTIONS: Any = {
    "extract_flat": True,
    "lazy_playlist": True,
    "noplaylist": False,
}
_LISTING_ARGUMENTS = {
    # YouTube's lists state dates such as `2 years ago`.
    "youtubetab": {"approximate_date": [""]},
    # A page that cannot be loaded is a failure, not the end of the list.
    "youtube": {"raise_incomplete_data": [""]},
}


def _download_options(job: DownloadJob) -> dict[str, Any]:
    return {
        # Selection.
        "format": _FORMAT,
        # Extractors list captions only if they are to be written; `captions` fetches the track.
        "writesubtitles": job.captions is not None or job.reference is not None,
        "noplaylist": True,
        "playlist_items": "1:2",
        "extract_flat": "in_playlist",
        "allow_unplayable_formats": False,
        "live_from_start": False,
        # Files: one, with a fixed name, resumed, never with a hole.
        "outtmpl": {"default": MEDIA_FILE},
        "continuedl": True,
        "nopart": False,
        "updatetime": False,
        "skip_unavailable_fragments": False,
        # A resumed stream is joined again from its whole parts: yt-dlp's own record of the joined
        # ones (`.ytdl`) lags behind the file when the process is killed.
        "keep_fragments": True,
        "_no_ytdl_file": True,
    }


def _extractor_args(
    job: DownloadJob | ListingJob, provider_keys: Sequence[str]
) -> dict[str, dict[str, list[str]]]:
    defaults = _LISTING_ARGUMENTS if isinstance(job, ListingJob) else {}
    arguments = {name: dict(value) for name, value in defaults.items()}
    identity = job.identity
    if identity.clients:
        arguments.setdefault("youtube", {})["player_client"] = list(identity.clients)
    if identity.po_token_url is not None:
        for key in provider_keys:
            arguments[f"youtubepot-{key.lower()}"] = {"base_url": [identity.po_token_url]}
    return arguments


class _WarningLog:
    """A logger for yt-dlp that prints nothing: people see `ytcaption.domain.errors` only.

    Attributes:
        warnings: the first `MAX_WARNINGS`; they state why formats are missing.
    """

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def debug(self, message: str) -> None:
        """Drop the message."""

    info = error = debug

    def warning(self, message: str) -> None:
        """Keep the message for `errors.error_of`."""
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(message[:500])


def _pause(n: int) -> float:
    return min(0.25 * 2**n, 2)
