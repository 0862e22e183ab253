"""yt-dlp as we use it: one media, our options, checks before the first byte, safe resumption.

Only the download's own process (`youtube_child`) imports this module.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from yt_dlp import YoutubeDL  # noqa: TID253
from yt_dlp.downloader.hls import HlsFD  # noqa: TID253
from yt_dlp.extractor.generic import GenericIE  # noqa: TID253
from yt_dlp.networking import Request  # noqa: TID253
from yt_dlp.networking.exceptions import HTTPError  # noqa: TID253

from resources.download_resume import MEDIA_FILE, ResumeState, version_of
from resources.media_description import seconds
from resources.media_extension import EXTENSIONS
from ytcaption_assets.domain.errors import (
    DrmProtected,
    LiveNotOver,
    MediaTooLarge,
    MediaTooLong,
    PlaylistUrl,
    SourceError,
)

# Downloaders of yt-dlp's own that speak HTTP; all others start a program or open a socket.
_PROTOCOLS = "[protocol~='^(https?|m3u8|m3u8_native|http_dash_segments)$']"
# Speech needs no large picture: where sound comes only with one, 480 lines are enough.
_FORMAT = "/".join(
    f"{choice}{_PROTOCOLS}"
    for choice in ("bestaudio", "best[height<=?480]", "best", "bestaudio*")
)  # fmt: skip
_IN_FRAGMENTS = ("m3u8", "m3u8_native", "http_dash_segments")
_MAX_MANIFEST_BYTES = 16 * 1024**2


@dataclass(frozen=True)
class DownloadJob:
    """What the parent process orders.

    Attributes:
        extractor: yt-dlp's key of the one that resolved the URL.
        max_bytes: largest media.
        max_audio_s: longest media, as far as the source states it.
    """

    media_id: str
    url: str
    kind: Literal["site", "direct"]
    extractor: str
    proxy: str
    max_bytes: int
    max_audio_s: float
    socket_timeout_s: float


def ytdlp_options(job: DownloadJob, deno: str | None) -> Any:
    """Every option that yt-dlp runs with. The working folder is the download's."""
    return {
        # Where it may go: through the proxy, with nobody's identity.
        "proxy": job.proxy,
        "allowed_extractors": ["generic"] if job.kind == "direct" else ["default", "-generic"],
        "socket_timeout": job.socket_timeout_s,
        # certifi's authorities, or those of a file that the operator names.
        "compat_opts": ["no-certifi"] if "SSL_CERT_FILE" in os.environ else [],
        "enable_file_urls": False,
        "cookiefile": None,
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
        # What it takes.
        "format": _FORMAT,
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
        "retries": 3,
        "fragment_retries": 3,
        "extractor_retries": 2,
        "retry_sleep_functions": {"http": _pause, "fragment": _pause, "extractor": _pause},
        "ignoreerrors": False,
        "logger": _Silence(),
        "noprogress": True,
        "quiet": True,
    }


class MediaDownloader(YoutubeDL):
    """Finds and downloads one media into the working folder."""

    def __init__(self, job: DownloadJob, deno: str | None) -> None:
        self.job = job
        self._resume: ResumeState | None = None
        self._media_url: str | None = None
        direct = job.kind == "direct"
        super().__init__(ytdlp_options(job, deno), auto_init=not direct)
        if direct:
            media_file: Any = MediaFileIE()
            self.add_info_extractor(media_file)

    def find(self) -> Any:
        """yt-dlp's `info_dict` of the one media, format chosen, checked against the limits.

        Raises:
            PlaylistUrl, LiveNotOver, MediaTooLong, MediaTooLarge, DrmProtected: and yt-dlp's own.
        """
        key = MediaFileIE.ie_key() if self.job.kind == "direct" else self.job.extractor
        found: Any = self.extract_info(self.job.url, download=False, ie_key=key)
        if found is None:
            raise SourceError("The site gave no media at this link.")
        if found.get("_type") in ("playlist", "multi_video"):
            found = self._only_entry(found)
        if found.get("is_live") or found.get("live_status") in ("is_live", "is_upcoming"):
            raise LiveNotOver("This is live. Ask again when the stream is over.")
        if found.get("live_status") == "post_live":
            raise LiveNotOver("The stream has just ended and its recording is not complete yet.")
        if found.get("protocol") in ("m3u8", "m3u8_native"):
            self._read_hls(found)
        duration_s = seconds(found.get("duration"))
        if duration_s is not None and duration_s > self.job.max_audio_s:
            raise MediaTooLong(
                f"The media is {duration_s:,.0f} s long; this installation takes at most "
                f"{self.job.max_audio_s:,.0f} s."
            )
        if isinstance(found.get("filesize"), int):
            self.check_size(found["filesize"])
        return found

    def fetch(self, found: Any) -> Path:
        """Download what `find` found; goes on with an earlier part of the same bytes."""
        fragmented = found.get("protocol") in _IN_FRAGMENTS
        self._resume = ResumeState(
            Path.cwd(), self.job.media_id, str(found.get("format_id")), in_fragments=fragmented
        )
        self._media_url = None if fragmented else Request(found["url"]).url
        # A whole video for a clip of it: cutting would need ffmpeg.
        for name in ("section_start", "section_end"):
            found.pop(name, None)
        if found.get("ext") not in EXTENSIONS:
            found["ext"] = "unknown_video"  # yt-dlp refuses extensions such as `php`
        self.process_info(found)
        path = Path(MEDIA_FILE)
        if not path.is_file():
            raise SourceError("The download gave no file.")
        self.check_size(path.stat().st_size)
        return path

    def check_size(self, size_bytes: int) -> None:
        """Raise MediaTooLarge for more bytes than allowed."""
        if size_bytes > self.job.max_bytes:
            raise MediaTooLarge(
                f"The media has more than {self.job.max_bytes:,} bytes, the most that this "
                "installation takes."
            )

    def _only_entry(self, playlist: dict[str, Any]) -> Any:
        """The media of a playlist that holds one, as pages with one player do."""
        entries = [entry for entry in playlist.get("entries") or () if entry]
        if self.job.kind == "direct" or len(entries) > 1:
            raise PlaylistUrl("This link is a list of media. Give the link of one of them.")
        if not entries:
            raise SourceError("The site gave no media at this link.")
        self.params["extract_flat"] = False
        found: Any = self.process_ie_result(entries[0], download=False)
        if not isinstance(found, dict) or found.get("_type", "video") != "video":
            raise PlaylistUrl("This link is a list of media. Give the link of one of them.")
        return found

    def _read_hls(self, found: Any) -> None:
        """Refuse live and encrypted streams: yt-dlp would take a part, or start ffmpeg."""
        headers = found.get("http_headers") or {}
        manifest_text = found.get("hls_media_playlist_data")
        if manifest_text is None:
            request: Any = Request(found["url"], headers=headers)
            with super().urlopen(request) as response:
                found["url"] = response.url
                content = b""
                while len(content) <= _MAX_MANIFEST_BYTES and (part := response.read(1 << 20)):
                    content += part
            if len(content) > _MAX_MANIFEST_BYTES:
                raise MediaTooLarge("The stream's list of parts is larger than allowed.")
            manifest_text = content.decode("utf-8", "replace")
        if (
            "#EXT-X-ENDLIST" not in manifest_text
            and "#EXT-X-PLAYLIST-TYPE:VOD" not in manifest_text
        ):
            raise LiveNotOver("This is a live stream. Ask again when it is over.")
        if not HlsFD.can_download(manifest_text, found):
            raise DrmProtected("The stream is encrypted (DRM) and cannot be downloaded.")
        found["hls_media_playlist_data"] = manifest_text
        found["duration"] = seconds(found.get("duration")) or _hls_duration_s(manifest_text)

    def urlopen(self, req: Any) -> Any:
        """As yt-dlp's, but a partial file is continued only with bytes of the same version."""
        if self._media_url is None or getattr(req, "url", None) != self._media_url:
            return super().urlopen(req)
        assert self._resume is not None
        start = _range_start(req.headers.get("Range"))
        version = self._resume.version
        if start and version.condition:
            req.headers["If-Range"] = version.condition
        try:
            response = super().urlopen(req)
        except HTTPError as error:
            if error.status != 416 or not start:
                raise
            response = None  # shorter than our part, so another version
        if response is not None and start:
            if response.status == 206 and not version_of(206, response.headers).differs_from(
                version
            ):
                return response
            if response.status != 206:
                self._resume.begin(version_of(response.status, response.headers))
                return response
            response.close()
        if response is None or start:
            for name in ("Range", "If-Range"):
                req.headers.pop(name, None)
            response = super().urlopen(req)
        self._resume.begin(version_of(response.status, response.headers))
        return response


class MediaFileIE(GenericIE):
    """The generic extractor without its search for embeds: a media file or manifest, or nothing."""

    IE_NAME = "media file"
    _ENABLED = True

    def _real_extract(self, url: str) -> Any:
        with contextlib.ExitStack() as self._answers:
            return super()._real_extract(url)

    def _request_webpage(self, *args: Any, **kwargs: Any) -> Any:
        """As it was, but closed in the end: a media file is looked into, not read."""
        answer: Any = super()._request_webpage(*args, **kwargs)
        if answer is not False:
            self._answers.callback(answer.close)
        return answer

    def _extract_embeds(self, url: str, *args: Any, **kwargs: Any) -> list[Any]:
        return []


class _Silence:
    """yt-dlp's messages reach people as our errors only."""

    def debug(self, message: str) -> None:
        """Drop it."""

    info = warning = error = debug


def progress_hook(report: Callable[[int, int | None], None], downloader: MediaDownloader) -> Any:
    """A hook that tells the bytes so far and in all, and ends what grows too large."""

    def hook(status: dict[str, Any]) -> None:
        done, total = status.get("downloaded_bytes") or 0, status.get("total_bytes")
        downloader.check_size(max(int(done), int(total or 0)))
        estimate = total or status.get("total_bytes_estimate")
        report(int(done), int(estimate) if estimate else None)

    return hook


def _pause(n: int) -> float:
    return min(0.5 * 2**n, 4)


def _range_start(value: str | None) -> int:
    first = (value or "").removeprefix("bytes=").partition("-")[0]
    return int(first) if first.isdigit() else 0


def _hls_duration_s(manifest: str) -> float | None:
    total = 0.0
    for line in manifest.splitlines():
        if line.startswith("#EXTINF:"):
            try:
                total += float(line.removeprefix("#EXTINF:").partition(",")[0])
            except ValueError:
                return None
    return seconds(total)
