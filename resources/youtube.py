"""Downloader: the audio of one media, by yt-dlp in a process of its own behind the egress proxy."""

import contextlib
import json
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Self

import dagster as dg
from pydantic import Field

import resources
import ytcaption_assets
from resources.download_resume import MEDIA_FILE, TRACK_FILE
from resources.egress_proxy import EgressProxy, Traffic
from resources.forked_child import Child, ForkedChild, child_server_socket
from resources.media_extension import EXTENSIONS, UNKNOWN
from ytcaption_assets.domain.errors import (
    BlockedAddress,
    ClaimLost,
    DownloadCrashed,
    InputError,
    MediaTooLarge,
    SourceError,
    SourceUnavailable,
    YtcaptionError,
)
from ytcaption_assets.domain.media import MediaInfo, MediaSource
from ytcaption_assets.domain.track_choice import CaptionChoice, CaptionsWanted
from ytcaption_assets.domain.track_reading import MAX_TRACK_BYTES
from ytcaption_assets.domain.track_segments import CaptionTrack
from ytcaption_assets.settings import Settings

# Pages, players and manifests; before the media itself begins no more than this may come.
OVERHEAD_BYTES = 64 * 1024**2
STOP_S = 10.0
POLL_S = 0.2
_CHILD = "resources.youtube_child"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Download:
    """A finished download.

    Attributes:
        path: in the folder that was given; the caller's to move or delete.
        extension: of our own list, or `bin`.
        choice: why there are no captions to use; None: nobody looked for any.
    """

    path: Path
    extension: str
    info: MediaInfo
    size_bytes: int
    choice: CaptionChoice | None = None


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
        order = self._order(source) | {
            "captions": asdict(wanted) if wanted is not None else None,
            "with_audio": with_audio,
        }
        deadline = time.monotonic() + self.download_timeout_s
        with (
            EgressProxy(
                allowed_networks=self.allowed_networks,
                max_bytes=OVERHEAD_BYTES,
                idle_timeout_s=3 * self.socket_timeout_s,
            ) as proxy,
            tempfile.TemporaryFile() as errors,
            self._child(directory, order | {"proxy": proxy.url}, errors) as child,
        ):
            for event in _events(child, should_stop, deadline):
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
                        raise _failure(event, proxy.traffic)
            errors.seek(0)
            _log.error("yt-dlp's process died: %s", errors.read()[-2000:].decode(errors="replace"))
            raise DownloadCrashed("The download ended unexpectedly. Try again.")

    @contextlib.contextmanager
    def _child(
        self, directory: Path, order: Mapping[str, Any], errors: IO[bytes]
    ) -> Iterator[Child]:
        """The process at work, in a group of its own; ended and gone afterwards."""
        child = self._started(directory, errors.fileno())
        assert child.stdin is not None and child.stdout is not None
        try:
            # stdin stays open: its end tells the child that we are gone.
            with contextlib.suppress(BrokenPipeError):
                child.stdin.write(json.dumps(order).encode() + b"\n")
                child.stdin.flush()
            yield child
        finally:
            _end(child)
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
            child.stdout.close()

    def _started(self, directory: Path, errors: int) -> Child:
        environment = _environment(directory)
        forked = self.child_server and ForkedChild.start(
            Path(self.child_server),
            "download",
            environment=environment,
            directory=directory,
            has_stdin=True,
            stderr=errors,
        )
        return forked or subprocess.Popen(
            [sys.executable, "-P", "-m", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=directory,
            env=environment,
            start_new_session=True,
        )

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


def _end(child: Child) -> None:
    """SIGTERM, ten seconds, SIGKILL, to the whole group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(STOP_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # what the child had started


def _environment(directory: Path) -> dict[str, str]:
    """What the child needs and no more: no proxy, password or configuration of ours."""
    packages = (resources, ytcaption_assets)
    roots = dict.fromkeys(str(Path(str(module.__file__)).parents[1]) for module in packages)
    kept = ("SSL_CERT_FILE", "SSL_CERT_DIR", "LANG", "TZ")
    return {
        "PYTHONPATH": os.pathsep.join(roots),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PATH": os.defpath,
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "YTDLP_NO_PLUGINS": "1",
        "DENO_NO_UPDATE_CHECK": "1",
        **{name: os.environ[name] for name in kept if name in os.environ},
    }


def _events(
    child: Child, should_stop: Callable[[], bool], deadline: float
) -> Iterator[dict[str, Any]]:
    """What the child reports, until it ends.

    Raises:
        ClaimLost: asked to stop.
        SourceUnavailable: the time is over.
    """
    assert child.stdout is not None
    descriptor, waiting = child.stdout.fileno(), b""
    while True:
        if should_stop():
            raise ClaimLost("The download was stopped.")
        if time.monotonic() > deadline:
            raise SourceUnavailable(
                "The download took longer than allowed. The next attempt goes on where it was."
            )
        readable, _, _ = select.select([descriptor], [], [], POLL_S)
        if not readable:
            continue
        data = os.read(descriptor, 1 << 16)
        if not data:
            return
        *lines, waiting = (waiting + data).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _download(event: dict[str, Any], directory: Path) -> Download:
    extension = event["extension"] if event["extension"] in EXTENSIONS else UNKNOWN
    info = MediaInfo.from_dict(event["info"])
    choice = CaptionChoice(**event["choice"]) if event["choice"] is not None else None
    return Download(directory / MEDIA_FILE, extension, info, event["size_bytes"], choice)


def _captions(event: dict[str, Any], directory: Path) -> CaptionsFound:
    track = None
    if event["extension"] is not None:
        path = directory / TRACK_FILE
        with path.open("rb") as file:
            track = CaptionTrack(event["extension"], file.read(MAX_TRACK_BYTES + 1))
        path.unlink()
    info = MediaInfo.from_dict(event["info"])
    return CaptionsFound(info, CaptionChoice(**event["choice"]), track)


def _failure(event: dict[str, Any], traffic: Traffic) -> YtcaptionError:
    """The child's error, or what the proxy knows better."""
    kinds = {kind.code: kind for kind in YtcaptionError.kinds()}
    error = kinds.get(event["code"], SourceError)(event["message"])
    error.retry_after_s = event["retry_after_s"]
    if not isinstance(error, SourceError | InputError):
        return error
    if traffic.too_many_bytes:
        return MediaTooLarge("The server sent more bytes than this installation allows.")
    if traffic.refused:
        return BlockedAddress(f"The link leads where it may not: {traffic.refused[-1]}.")
    if traffic.unreachable and isinstance(error, SourceUnavailable):
        return SourceUnavailable(f"The server cannot be reached: {traffic.unreachable[-1]}.")
    return error
