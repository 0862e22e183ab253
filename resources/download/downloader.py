"""Downloader: the audio or captions of one media item, by yt-dlp in a process of its own."""

import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import dagster as dg
from pydantic import Field

from resources.download.egress import EgressRoute
from resources.download.extensions import EXTENSIONS, UNKNOWN
from resources.download.protocol import (
    AudioDone,
    CaptionsDone,
    DownloadJob,
    Failed,
    MediaFound,
    Progress,
    read_download_event,
)
from resources.download.resume import MEDIA_FILE, REFERENCE_FILE, TRACK_FILE
from resources.download.ytdlp_process import events_of, failure_of, ytdlp_process
from resources.processes.forked_child import child_server_socket
from ytcaption.domain.caption_choice import CaptionChoice, CaptionsWanted
from ytcaption.domain.captions.track_parsing import MAX_TRACK_BYTES
from ytcaption.domain.captions.track_segments import CaptionReference, CaptionTrack
from ytcaption.domain.errors import DownloadCrashed
from ytcaption.domain.media.media import MediaInfo, MediaSource
from ytcaption.settings.settings import Settings

OVERHEAD_BYTES = 64 * 1024**2
"""Most bytes of pages, players and manifests, before the media itself begins."""

_LATE = "The download took longer than allowed. The next attempt resumes it."

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Download:
    """A finished download.

    Attributes:
        path: in the folder that was given; the caller moves or deletes it.
        extension: one of `EXTENSIONS`, or `bin`.
        choice: why no captions are used; None: nobody looked for any.
        reference: captions beside the audio, if they were requested and exist.
    """

    path: Path
    extension: str
    info: MediaInfo
    size_bytes: int
    choice: CaptionChoice | None = None
    reference: CaptionReference | None = None


@dataclass(frozen=True)
class CaptionsFound:
    """The outcome of a search for captions after which no audio was downloaded.

    Attributes:
        track: None: there are no captions, and audio was not requested.
    """

    info: MediaInfo
    choice: CaptionChoice
    track: CaptionTrack | None


class Downloader(dg.ConfigurableResource):
    """Downloads the best audio of a media item in the format that the source serves."""

    allowed_networks: list[str] = Field([], description="Private CIDRs that media may come from.")
    max_download_bytes: int = Field(description="Largest download.")
    max_audio_s: float = Field(description="Longest audio, in seconds.")
    download_timeout_s: float = Field(description="Longest download, in seconds.")
    socket_timeout_s: float = Field(20, description="Longest silence of a server, in seconds.")
    child_server: str | None = Field(
        None, description="Socket of the child server; without it each download starts Python."
    )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the downloader of an installation."""
        return cls(
            allowed_networks=list(settings.download.allowed_networks),
            max_download_bytes=settings.download.max_download_bytes,
            max_audio_s=settings.download.max_audio_s,
            download_timeout_s=settings.download.download_timeout_s,
            socket_timeout_s=20,
            child_server=str(child_server_socket(settings.home)),
        )

    def captions_or_audio(
        self,
        source: MediaSource,
        directory: Path,
        wanted: CaptionsWanted | None,
        on_progress: Callable[[int, int | None], None],
        should_stop: Callable[[], bool] = lambda: False,
        *,
        with_audio: bool = True,
        route: EgressRoute | None = None,
        reference: CaptionsWanted | None = None,
    ) -> Download | CaptionsFound:
        """Fetch the captions of a site's or a direct media, or else download its audio.

        A second call with the same folder resumes an interrupted download if the server still has
        the same bytes.

        Args:
            directory: exists, and belongs to this media item alone.
            wanted: captions to use instead of the audio; None: do not look for any.
            on_progress: called with bytes so far and bytes in all (None: unknown).
            should_stop: called several times a second; True ends the download.
            with_audio: False: captions or nothing.
            route: proxies, cookies and the like; None: a direct connection without identity.
            reference: captions to fetch beside the audio if they are available at once.

        Raises:
            SourceError, InputError: the source does not give it; with a sentence for a person.
            CaptionsUnavailable: only captions were requested, and there are none.
            DownloadCrashed: yt-dlp's process died.
            EmptyFile: zero bytes.
            DiskFull: the folder's disk.
            ClaimLost: `should_stop` returned True.
        """
        if source.url is None or source.extractor is None or source.kind == "upload":
            raise ValueError("an upload cannot be downloaded")
        route = route or EgressRoute()
        deadline = time.monotonic() + self.download_timeout_s
        with (
            route.proxy(
                allowed_networks=self.allowed_networks,
                max_bytes=OVERHEAD_BYTES,
                idle_timeout_s=3 * self.socket_timeout_s,
            ) as proxy,
            tempfile.TemporaryFile() as errors,
        ):
            job = DownloadJob(
                media_id=source.media_id,
                url=source.url,
                kind=source.kind,
                extractor=source.extractor,
                proxy=proxy.url,
                max_bytes=self.max_download_bytes,
                max_audio_s=self.max_audio_s,
                socket_timeout_s=self.socket_timeout_s,
                captions=wanted,
                with_audio=with_audio,
                reference=reference,
                identity=route.identity,
            )
            with ytdlp_process("download", directory, job, errors, self.child_server) as child:
                for event in events_of(child, read_download_event, should_stop, deadline, _LATE):
                    match event:
                        case MediaFound():
                            received = proxy.traffic.bytes_received
                            # Retries and encryption add to the media's own bytes.
                            allowed = self.max_download_bytes * 5 // 4 + OVERHEAD_BYTES
                            proxy.max_bytes = received + allowed
                        case Progress():
                            on_progress(event.done, event.total)
                        case AudioDone():
                            return _download(event, directory)
                        case CaptionsDone():
                            return _captions(event, directory)
                        case Failed():
                            raise failure_of(event, proxy.traffic)
            errors.seek(0)
            _log.error("yt-dlp's process died: %s", errors.read()[-2000:].decode(errors="replace"))
            raise DownloadCrashed("The download ended unexpectedly. Try again.")


def _download(event: AudioDone, directory: Path) -> Download:
    reference = None
    if event.reference is not None:
        track = _track(directory / REFERENCE_FILE, event.reference.extension)
        reference = CaptionReference(event.reference.language, track)
    return Download(
        directory / MEDIA_FILE,
        event.extension if event.extension in EXTENSIONS else UNKNOWN,
        event.info,
        event.size_bytes,
        event.choice,
        reference,
    )


def _captions(event: CaptionsDone, directory: Path) -> CaptionsFound:
    track = None
    if event.extension is not None:
        track = _track(directory / TRACK_FILE, event.extension)
    return CaptionsFound(event.info, event.choice, track)


def _track(path: Path, extension: str) -> CaptionTrack:
    with path.open("rb") as file:
        track = CaptionTrack(extension, file.read(MAX_TRACK_BYTES + 1))
    path.unlink()
    return track
