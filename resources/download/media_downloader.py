"""yt-dlp as we use it: one media, checks before the first byte, safe resumption.

Only the download's own process (`youtube_child`) imports this module.
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
    """Finds and downloads one media into the working folder."""

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
        """What yt-dlp warned of so far."""
        return self._logger.warnings

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
        found["requested_subtitles"] = None  # the captions are not what is fetched here
        in_parts = found.get("protocol") in _IN_PARTS
        format_id = f"{found.get('format_id')}{_hash_of_parts(found) if in_parts else ''}"
        self._resume = ResumeState(Path.cwd(), self.job.media_id, format_id, in_parts=in_parts)
        self._media_url = None if in_parts else Request(found["url"]).url
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
        self._resume.finish()
        return path

    def fetch_track(self, track: dict[str, Any]) -> bytes:
        """The bytes of captions, one of the formats that `find` found them in."""
        if track.get("data") is not None:
            return str(track["data"]).encode("utf-8", "replace")
        _remove_tracks()  # an earlier one's parts would be taken for this one's
        # Without curl_cffi there is nobody to impersonate.
        told: Any = {name: value for name, value in track.items() if name != "impersonate"}
        self._max_bytes = MAX_TRACK_BYTES
        try:
            self.dl(TRACK_FILE, told, subtitle=True)
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
            with self.urlopen(Request(found["url"], headers=headers)) as response:
                found["url"] = response.url
                content = response.read()
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

    def open(self, req: Any) -> Any:
        """As yt-dlp's, but a partial file is continued only with bytes of the same version."""
        if self._media_url is None or getattr(req, "url", None) != self._media_url:
            return super().open(req)
        return self._open_media(req)

    def _open_media(self, req: Any) -> Any:
        assert self._resume is not None
        if _range_start(req.headers.get("Range")):
            response = self._open_rest(req, self._resume)
            if response is not None:
                return response
            # yt-dlp starts the file over when the answer is a whole one.
            for name in ("Range", "If-Range"):
                req.headers.pop(name, None)
        response = self.answer_to(req)
        self._resume.begin(version_of(response.status, response.headers))
        return response

    def _open_rest(self, req: Any, resume: ResumeState) -> Any | None:
        """The bytes that are missing, or the whole of a newer version; None: ask without Range."""
        if resume.version.condition:
            req.headers["If-Range"] = resume.version.condition
        try:
            response: Any = self.answer_to(req)
        except HTTPError as error:
            if error.status != 416:
                raise
            return None  # shorter than our part, so another version
        version = version_of(response.status, response.headers)
        if response.status != 206:
            resume.begin(version)
        elif version.differs_from(resume.version):
            response.close()
            return None
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


def progress_hook(report: Callable[[int, int | None], None], downloader: MediaDownloader) -> Any:
    """A hook that tells the bytes so far and in all, and ends what grows too large."""

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


def _hash_of_parts(found: Any) -> str:
    """What an earlier download of a stream must agree in for its parts to be used again.

    Hosts and queries are left out: they are signed anew for each visitor.
    """
    manifest, parts = found.get("hls_media_playlist_data"), found.get("fragments")
    if manifest is not None:
        lines = [line for line in manifest.splitlines() if not line.startswith("#EXT-X-KEY")]
        parts = [line if line.startswith("#") else urlsplit(line).path for line in lines]
    elif isinstance(parts, list):
        parts = [urlsplit(part.get("url") or part.get("path") or "").path for part in parts]
    else:
        parts = [secrets.token_hex()]  # listed as it goes: never the same
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
