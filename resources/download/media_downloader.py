"""yt-dlp for one media item: checks before the first byte, and safe resumption.

Only the download's own process (`download_child`) imports this module.
"""

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from yt_dlp.downloader.hls import HlsFD  # noqa: TID253
from yt_dlp.extractor.generic import GenericIE  # noqa: TID253
from yt_dlp.networking import Request  # noqa: TID253
from yt_dlp.networking.exceptions import HTTPError  # noqa: TID253

from resources.download.bounded_ytdlp import BoundedYoutubeDL
from resources.download.description import seconds
from resources.download.extensions import EXTENSIONS
from resources.download.protocol import DownloadJob
from resources.download.resume import MEDIA_FILE, TRACK_FILE, ResumeState, version_of
from resources.download.ytdlp_options import ytdlp_options
from ytcaption.domain.captions.track_parsing import MAX_TRACK_BYTES
from ytcaption.domain.errors import (
    DrmProtected,
    LiveNotOver,
    MediaTooLarge,
    MediaTooLong,
    PlaylistUrl,
    SourceError,
)

_IN_PARTS = ("m3u8", "m3u8_native", "http_dash_segments")


class MediaDownloader(BoundedYoutubeDL):
    """Finds and downloads one media item into the working folder."""

    def __init__(
        self, job: DownloadJob, deno: str | None, provider_keys: Sequence[str] = ()
    ) -> None:
        self.job = job
        self._resume: ResumeState | None = None
        self._media_url: str | None = None
        self._max_bytes = job.max_bytes
        direct = job.kind == "direct"
        options = ytdlp_options(job, deno, provider_keys)
        self._logger = options["logger"]
        super().__init__(options, auto_init=not direct)
        if direct:
            media_file: Any = MediaFileIE()
            self.add_info_extractor(media_file)

    @property
    def warnings(self) -> list[str]:
        """Return yt-dlp's warnings so far."""
        return self._logger.warnings

    def find(self) -> Any:
        """Return yt-dlp's `info_dict` of the one media item, with a chosen format within the
        limits.

        Raises:
            PlaylistUrl, LiveNotOver, MediaTooLong, MediaTooLarge, DrmProtected: and yt-dlp's own.
        """
        key = MediaFileIE.ie_key() if self.job.kind == "direct" else self.job.extractor
        info_dict: Any = self.extract_info(self.job.url, download=False, ie_key=key)
        if info_dict is None:
            raise SourceError("The site gave no media at this link.")
        if info_dict.get("_type") in ("playlist", "multi_video"):
            info_dict = self._only_entry(info_dict)
        if info_dict.get("is_live") or info_dict.get("live_status") in ("is_live", "is_upcoming"):
            raise LiveNotOver("This is live. Try again when the stream is over.")
        if info_dict.get("live_status") == "post_live":
            raise LiveNotOver("The stream has just ended and its recording is not complete yet.")
        if info_dict.get("protocol") in ("m3u8", "m3u8_native"):
            self._read_hls(info_dict)
        duration_s = seconds(info_dict.get("duration"))
        if duration_s is not None and duration_s > self.job.max_audio_s:
            raise MediaTooLong(
                f"The media is {duration_s:,.0f} s long; this installation accepts at most "
                f"{self.job.max_audio_s:,.0f} s."
            )
        if isinstance(info_dict.get("filesize"), int):
            self.check_size(info_dict["filesize"])
        return info_dict

    def fetch(self, info_dict: Any) -> Path:
        """Download the media that `find` returned; resume an earlier part of the same bytes."""
        info_dict["requested_subtitles"] = None  # captions are fetched by `fetch_track`
        in_parts = info_dict.get("protocol") in _IN_PARTS
        format_id = f"{info_dict.get('format_id')}{_hash_of_parts(info_dict) if in_parts else ''}"
        self._resume = ResumeState(Path.cwd(), self.job.media_id, format_id, in_parts=in_parts)
        self._media_url = None if in_parts else Request(info_dict["url"]).url
        # The whole video instead of a clip of it: cutting would need ffmpeg.
        for name in ("section_start", "section_end"):
            info_dict.pop(name, None)
        if info_dict.get("ext") not in EXTENSIONS:
            info_dict["ext"] = "unknown_video"  # yt-dlp refuses extensions such as `php`
        self.process_info(info_dict)
        path = Path(MEDIA_FILE)
        if not path.is_file():
            raise SourceError("The download gave no file.")
        self.check_size(path.stat().st_size)
        self._resume.finish()
        return path

    def fetch_track(self, track: dict[str, Any]) -> bytes:
        """Return the bytes of captions in one of the formats of `track_formats`."""
        if track.get("data") is not None:
            return str(track["data"]).encode("utf-8", "replace")
        _remove_tracks()  # yt-dlp would continue the parts of an earlier track
        # Impersonation needs curl_cffi, which is not installed.
        options: Any = {name: value for name, value in track.items() if name != "impersonate"}
        self._max_bytes = MAX_TRACK_BYTES
        try:
            self.dl(TRACK_FILE, options, subtitle=True)
            path = Path(TRACK_FILE)
            self.check_size(path.stat().st_size)
            return path.read_bytes()
        finally:
            self._max_bytes = self.job.max_bytes
            _remove_tracks()

    def check_size(self, size_bytes: int) -> None:
        """Raise MediaTooLarge for more bytes than allowed."""
        if size_bytes > self._max_bytes:
            raise MediaTooLarge(
                f"The media has more than {self._max_bytes:,} bytes, the most that this "
                "installation accepts."
            )

    def _only_entry(self, playlist: dict[str, Any]) -> Any:
        """Return the media of a playlist that has only one, as pages with one player do."""
        entries = [entry for entry in playlist.get("entries") or () if entry]
        if self.job.kind == "direct" or len(entries) > 1:
            raise PlaylistUrl("This link is a list of media. Give the link of one of them.")
        if not entries:
            raise SourceError("The site gave no media at this link.")
        self.params["extract_flat"] = False
        info_dict: Any = self.process_ie_result(entries[0], download=False)
        if not isinstance(info_dict, dict) or info_dict.get("_type", "video") != "video":
            raise PlaylistUrl("This link is a list of media. Give the link of one of them.")
        return info_dict

    def _read_hls(self, info_dict: Any) -> None:
        """Refuse live and encrypted streams: yt-dlp would download a part, or start ffmpeg."""
        headers = info_dict.get("http_headers") or {}
        manifest_text = info_dict.get("hls_media_playlist_data")
        if manifest_text is None:
            with self.urlopen(Request(info_dict["url"], headers=headers)) as response:
                info_dict["url"] = response.url
                content = response.read()
            manifest_text = content.decode("utf-8", "replace")
        if (
            "#EXT-X-ENDLIST" not in manifest_text
            and "#EXT-X-PLAYLIST-TYPE:VOD" not in manifest_text
        ):
            raise LiveNotOver("This is a live stream. Try again when it is over.")
        if not HlsFD.can_download(manifest_text, info_dict):
            raise DrmProtected("The stream is encrypted (DRM) and cannot be downloaded.")
        info_dict["hls_media_playlist_data"] = manifest_text
        info_dict["duration"] = seconds(info_dict.get("duration")) or _hls_duration_s(manifest_text)

    def open(self, req: Any) -> Any:
        """Open a request; continue a partial media file only with bytes of the same version."""
        if self._media_url is None or getattr(req, "url", None) != self._media_url:
            return super().open(req)
        return self._open_media(req)

    def _open_media(self, req: Any) -> Any:
        assert self._resume is not None
        if _range_start(req.headers.get("Range")):
            response = self._open_remainder(req, self._resume)
            if response is not None:
                return response
            # yt-dlp starts the file again if the response is the whole of it.
            for name in ("Range", "If-Range"):
                req.headers.pop(name, None)
        response = self.open_unlimited(req)
        self._resume.begin(version_of(response.status, response.headers))
        return response

    def _open_remainder(self, req: Any, resume: ResumeState) -> Any | None:
        """Return the missing bytes, or all of a newer version; None: request without Range."""
        if resume.version.condition:
            req.headers["If-Range"] = resume.version.condition
        try:
            response: Any = self.open_unlimited(req)
        except HTTPError as error:
            if error.status != 416:
                raise
            return None  # shorter than the partial file, so another version
        version = version_of(response.status, response.headers)
        if response.status != 206:
            resume.begin(version)
        elif version.differs_from(resume.version):
            response.close()
            return None
        return response


class MediaFileIE(GenericIE):
    """The generic extractor for a media file or manifest only, without its search for embeds."""

    IE_NAME = "media file"
    _ENABLED = True

    def _real_extract(self, url: str) -> Any:
        with contextlib.ExitStack() as self._responses:
            return super()._real_extract(url)

    def _request_webpage(self, *args: Any, **kwargs: Any) -> Any:
        """Request a page and close it at the end: only the beginning of a media file is read."""
        response: Any = super()._request_webpage(*args, **kwargs)
        if response is not False:
            self._responses.callback(response.close)
        return response

    def _extract_embeds(self, url: str, *args: Any, **kwargs: Any) -> list[Any]:
        return []


def progress_hook(report: Callable[[int, int | None], None], downloader: MediaDownloader) -> Any:
    """Return a hook that reports bytes so far and in all, and ends a download that is too large."""

    def hook(status: dict[str, Any]) -> None:
        done, total = status.get("downloaded_bytes") or 0, status.get("total_bytes")
        downloader.check_size(max(int(done), int(total or 0)))
        estimate = total or status.get("total_bytes_estimate")
        report(int(done), int(estimate) if estimate else None)

    return hook


def _remove_tracks() -> None:
    for path in Path.cwd().glob(f"{TRACK_FILE}*"):
        path.unlink()


def _range_start(value: str | None) -> int:
    first = (value or "").removeprefix("bytes=").partition("-")[0]
    return int(first) if first.isdigit() else 0


def _hash_of_parts(info_dict: Any) -> str:
    """Return the hash that an earlier download of a stream must have for its parts to be reused.

    Hosts and queries do not count: sites sign them for each visitor.
    """
    manifest, parts = info_dict.get("hls_media_playlist_data"), info_dict.get("fragments")
    if manifest is not None:
        lines = [line for line in manifest.splitlines() if not line.startswith("#EXT-X-KEY")]
        parts = [line if line.startswith("#") else urlsplit(line).path for line in lines]
    elif isinstance(parts, list):
        parts = [urlsplit(part.get("url") or part.get("path") or "").path for part in parts]
    else:
        parts = [secrets.token_hex()]  # the list is not known beforehand: never reused
    return "-" + hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _hls_duration_s(manifest: str) -> float | None:
    total = 0.0
    for line in manifest.splitlines():
        if line.startswith("#EXTINF:"):
            try:
                total += float(line.removeprefix("#EXTINF:").partition(",")[0])
            except ValueError:
                return None
    return seconds(total)
