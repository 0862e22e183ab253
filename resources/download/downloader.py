"""Downloader: the audio of one media, by yt-dlp in a process of its own behind the egress proxy."""

import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import dagster as dg
from pydantic import Field

from resources.download.egress import EgressRoute
from resources.download.extensions import EXTENSIONS, UNKNOWN
from resources.download.resume import MEDIA_FILE, REFERENCE_FILE, TRACK_FILE
from resources.download.ytdlp_process import events_of, failure_of, ytdlp_process
from resources.network.egress_proxy import EgressProxy
from resources.processes.forked_child import child_server_socket
from ytcaption.domain.caption_choice import CaptionChoice, CaptionsWanted
from ytcaption.domain.captions.track_parsing import MAX_TRACK_BYTES
from ytcaption.domain.captions.track_segments import CaptionReference, CaptionTrack
from ytcaption.domain.errors import DownloadCrashed
from ytcaption.domain.media.media import MediaInfo, MediaSource
from ytcaption.settings import Settings

# Pages, players and manifests; before the media itself begins no more than this may come.
OVERHEAD_BYTES = 64 * 1024**2
_LATE = "The download took longer than allowed. The next attempt goes on where it was."

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Download:
    """A finished download.

    Attributes:
        path: in the folder that was given; the caller's to move or delete.
        extension: of our own list, or `bin`.
        choice: why there are no captions to use; None: nobody looked for any.
        reference: captions beside the audio, where they were wanted and there are any.
    """

    path: Path
    extension: str
    info: MediaInfo
    size_bytes: int
    choice: CaptionChoice | None = None
    reference: CaptionReference | None = None


@dataclass(frozen=True)
class CaptionsFound:
    """What came of looking for captions where no audio was downloaded.

    Attributes:
        track: None: there are none, and the audio was not wanted.
    """

    info: MediaInfo
    choice: CaptionChoice
    track: CaptionTrack | None


class Downloader(dg.ConfigurableResource):
    """Downloads the best audio of a media as it is served."""

    allowed_networks: list[str] = Field([], description="Private CIDRs that media may come from.")
    max_download_bytes: int = Field(description="Largest download.")
    max_audio_s: float = Field(description="Longest audio, in seconds.")
    download_timeout_s: float = Field(description="Longest download, in seconds.")
    socket_timeout_s: float = Field(20, description="Longest silence of a server, in seconds.")
    child_server: str | None = Field(
        None, description="Socket of the child server, where there may be one."
    )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The downloader of an installation."""
        return cls(
            allowed_networks=list(settings.allowed_networks),
            max_download_bytes=settings.max_download_bytes,
            max_audio_s=settings.max_audio_s,
            download_timeout_s=settings.download_timeout_s,
            socket_timeout_s=20,
            child_server=str(child_server_socket(settings.home)),
        )

    def download(
        self,
        source: MediaSource,
        directory: Path,
        on_progress: Callable[[int, int | None], None],
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Download:
        """Download a site's or a direct media into a folder. See `captions_or_audio`."""
        found = self.captions_or_audio(source, directory, None, on_progress, should_stop)
        assert isinstance(found, Download)
        return found

    def captions_or_audio(
        self,
        source: MediaSource,
        directory: Path,
        wanted: CaptionsWanted | None,
        on_progress: Callable[[int, int | None], None],
        should_stop: Callable[[], bool] = lambda: False,
        *,
        with_audio: bool = True,
        way: EgressRoute | None = None,
        reference: CaptionsWanted | None = None,
    ) -> Download | CaptionsFound:
        """The captions of a site's or a direct media, else its audio, downloaded into a folder.

        Called again with the same folder it goes on where an interrupted download was, if the
        server still has the same bytes.

        Args:
            directory: exists, and is this media's alone.
            wanted: None: the audio, whatever captions there are.
            on_progress: called with bytes so far and bytes in all (None: not known).
            should_stop: asked several times a second; True ends the download.
            with_audio: False: captions or nothing.
            way: what it goes out with; None: nothing of the operator's.
            reference: captions to fetch beside the audio, if they can be had at once.

        Raises:
            SourceError, InputError: the source does not give it, in a sentence for a person.
            CaptionsUnavailable: nothing but captions is wanted, and there are none.
            DownloadCrashed: yt-dlp's process died.
            EmptyFile: zero bytes.
            DiskFull: the folder's disk.
            ClaimLost: `should_stop` said so.
        """
        if source.url is None or source.extractor is None:
            raise ValueError("an upload has nothing to download")
        way = way or EgressRoute()
        order = (
            self._order(source)
            | way.order
            | {
                "captions": asdict(wanted) if wanted is not None else None,
                "with_audio": with_audio,
                "reference": asdict(reference) if reference is not None else None,
            }
        )
        deadline = time.monotonic() + self.download_timeout_s
        with (
            EgressProxy(
                allowed_networks=self.allowed_networks,
                max_bytes=OVERHEAD_BYTES,
                idle_timeout_s=3 * self.socket_timeout_s,
                **way.proxy_options,
            ) as proxy,
            tempfile.TemporaryFile() as errors,
            ytdlp_process(
                "download", directory, order | {"proxy": proxy.url}, errors, self.child_server
            ) as child,
        ):
            for event in events_of(child, should_stop, deadline, _LATE):
                match event.get("event"):
                    case "found":
                        received = proxy.traffic.bytes_received
                        # Retries and encryption come on top of the media's own bytes.
                        allowed = self.max_download_bytes * 5 // 4 + OVERHEAD_BYTES
                        proxy.max_bytes = received + allowed
                    case "progress":
                        on_progress(event["done"], event["total"])
                    case "done":
                        return _download(event, directory)
                    case "captions":
                        return _captions(event, directory)
                    case "failed":
                        raise failure_of(event, proxy.traffic)
            errors.seek(0)
            _log.error("yt-dlp's process died: %s", errors.read()[-2000:].decode(errors="replace"))
            raise DownloadCrashed("The download ended unexpectedly. Try again.")

    def _order(self, source: MediaSource) -> dict[str, Any]:
        return {
            "media_id": source.media_id,
            "url": source.url,
            "kind": source.kind,
            "extractor": source.extractor,
            "max_bytes": self.max_download_bytes,
            "max_audio_s": self.max_audio_s,
            "socket_timeout_s": self.socket_timeout_s,
        }


def _download(event: dict[str, Any], directory: Path) -> Download:
    extension = event["extension"] if event["extension"] in EXTENSIONS else UNKNOWN
    info = MediaInfo.from_dict(event["info"])
    choice = CaptionChoice(**event["choice"]) if event["choice"] is not None else None
    beside, reference = event["reference"], None
    if beside is not None:
        track = _track(directory / REFERENCE_FILE, beside["extension"])
        reference = CaptionReference(beside["language"], track)
    path = directory / MEDIA_FILE
    return Download(path, extension, info, event["size_bytes"], choice, reference)


def _track(path: Path, extension: str) -> CaptionTrack:
    with path.open("rb") as file:
        track = CaptionTrack(extension, file.read(MAX_TRACK_BYTES + 1))
    path.unlink()
    return track


def _captions(event: dict[str, Any], directory: Path) -> CaptionsFound:
    track = None
    if event["extension"] is not None:
        track = _track(directory / TRACK_FILE, event["extension"])
    info = MediaInfo.from_dict(event["info"])
    return CaptionsFound(info, CaptionChoice(**event["choice"]), track)
