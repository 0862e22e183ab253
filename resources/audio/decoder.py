"""Decodes audio of any container to mono samples, in a process that can be killed."""

import logging
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Self

import dagster as dg
import numpy as np
from pydantic import Field

from resources.audio.container import is_cut_short, is_short_of, stated_mp3_bytes
from resources.audio.decoder_process import CUT_SHORT, NO_ROOM, PROBE_S, SAMPLE_RATE_HZ, run_decoder
from resources.audio.samples import map_samples
from resources.audio.waveform import waveform_png
from resources.disk import is_disk_full
from resources.processes.forked_child import child_server_socket
from ytcaption.domain.errors import (
    AudioTruncated,
    AudioUndecodable,
    DiskFull,
    EmptyFile,
    FileUnreadable,
    MediaTooLong,
)
from ytcaption.domain.media.media import AudioProbe
from ytcaption.settings.settings import Settings

logger = logging.getLogger(__name__)

_EXACT_CONTAINERS = frozenset(
    {"flac", "wav", "w64", "aiff", "caf", "au", "tta", "tak", "ape", "wv"}
)
"""Their headers state the number of samples: a file with fewer was truncated."""


class AudioDecoder(dg.ConfigurableResource):
    """Decodes media files within limits of memory, time and length."""

    max_audio_s: float = Field(description="Longest audio, in seconds.")
    memory_bytes: int = Field(description="Address space of the decoding process.")
    scratch_directory: str | None = Field(
        default=None,
        description="Folder for samples in use, 230 MB an hour; nothing remains there.",
    )
    child_server: str | None = Field(
        default=None, description="Socket of the child server, if there is one."
    )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the decoder that the settings describe."""
        return cls(
            max_audio_s=settings.download.max_audio_s,
            memory_bytes=settings.download.decode_memory_bytes,
            scratch_directory=str(settings.home),
            child_server=str(child_server_socket(settings.home)),
        )

    def probe(self, path: Path) -> AudioProbe:
        """Read a file's headers; see `probe`."""
        return probe(path, memory_bytes=self.memory_bytes, server=self._server)

    def decode(
        self,
        path: Path,
        should_stop: Callable[[], bool] = lambda: False,
        sample_rate_hz: int = SAMPLE_RATE_HZ,
    ) -> np.ndarray:
        """Decode a file; see `decode`."""
        return decode(
            path,
            max_audio_s=self.max_audio_s,
            sample_rate_hz=sample_rate_hz,
            memory_bytes=self.memory_bytes,
            should_stop=should_stop,
            scratch_directory=Path(self.scratch_directory) if self.scratch_directory else None,
            server=self._server,
        )

    def waveform_png(self, samples: np.ndarray) -> bytes:
        """Draw the loudness over time; see `waveform_png`."""
        return waveform_png(samples)

    @property
    def _server(self) -> Path | None:
        return Path(self.child_server) if self.child_server else None


def probe(path: Path, *, memory_bytes: int, server: Path | None = None) -> AudioProbe:
    """Read the headers of a file's audio track: the default track, else the first.

    Raises:
        FileUnreadable, EmptyFile, NotMedia, NoAudioTrack, AudioTruncated, AudioUndecodable.
    """
    _check_file(path)
    headers = run_decoder(path, memory_bytes=memory_bytes, wall_s=PROBE_S, server=server)
    if is_cut_short(path):
        raise AudioTruncated(CUT_SHORT)
    return AudioProbe(
        container=headers["container"],
        codec=headers["codec"],
        sample_rate_hz=headers["sample_rate_hz"],
        channels=headers["channels"],
        duration_s=headers["duration_s"],
    )


def decode(
    path: Path,
    *,
    max_audio_s: float,
    memory_bytes: int,
    sample_rate_hz: int = SAMPLE_RATE_HZ,
    should_stop: Callable[[], bool] = lambda: False,
    scratch_directory: Path | None = None,
    server: Path | None = None,
) -> np.ndarray:
    """Decode a file's audio track to samples on the clock of the media.

    If the track starts late or has a gap, silence is inserted, so that times match the picture. A
    damaged packet also becomes silence. The array maps a file without a name: pages are read when
    accessed (`samples.release_pages`), and nothing remains when this process ends, even if killed.

    Returns:
        float32, shape (n_samples,), mono, of the rate, in [-1, 1], read-only.

    Raises:
        FileUnreadable, EmptyFile, NotMedia, NoAudioTrack, AudioTruncated, AudioUndecodable:
            the file is the problem.
        MediaTooLong: more than `max_audio_s`.
        DiskFull: no space for the samples in `scratch_directory` (default: the system's).
        ClaimLost: `should_stop` returned True.
    """
    _check_file(path)
    with ExitStack() as stack:
        output = stack.enter_context(_scratch_file(scratch_directory))
        result = run_decoder(
            path,
            memory_bytes=memory_bytes,
            wall_s=PROBE_S + max_audio_s / 4,
            max_audio_s=max_audio_s,
            sample_rate_hz=sample_rate_hz,
            output=output,
            should_stop=should_stop,
            server=server,
        )
        if result["too_long"]:
            raise MediaTooLong(
                f"The audio is longer than the {_duration(max_audio_s)} allowed here."
            )
        damaged = not result["samples"] or result["skipped"] * 2 > result["packets"]
        if damaged and not is_cut_short(path):
            raise AudioUndecodable(
                f"The audio track ({result['codec']}) is damaged: hardly any of it can be decoded."
            )
        if damaged or _is_truncated(path, result, sample_rate_hz):
            raise AudioTruncated(CUT_SHORT)
        if result["skipped"]:
            logger.warning("skipped %d of %d damaged packets", result["skipped"], result["packets"])
        stack.pop_all()  # the file stays open for as long as the samples are used
        return map_samples(output)


def _scratch_file(directory: Path | None) -> IO[bytes]:
    """Open a file without a name: it disappears with the last process that has it open."""
    try:
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=directory)
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull(NO_ROOM) from error
        raise


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise FileUnreadable(f"'{path.name}' is a folder. Give a file.")
        if path.exists() and not path.is_file():  # reading a pipe would block
            raise FileUnreadable(f"'{path.name}' is not an ordinary file. Give a file.")
        with path.open("rb") as file:
            if not file.read(1):
                raise EmptyFile.named()
    except FileNotFoundError:
        raise FileUnreadable(f"There is no file '{path.name}'.") from None
    except OSError as error:
        raise FileUnreadable(f"'{path.name}' cannot be read: {error.strerror}.") from error


def _is_truncated(path: Path, result: dict[str, Any], sample_rate_hz: int) -> bool:
    stated_s, end_s = result["track_s"], result["samples"] / sample_rate_hz
    is_shorter = stated_s is not None and is_short_of(end_s, stated_s)
    if result["container"] in _EXACT_CONTAINERS and is_shorter:
        return True
    if result["container"] == "mp3":
        # Without a Xing header the duration is an estimate from the bit rate and proves nothing.
        stated_bytes = stated_mp3_bytes(path)
        size = path.stat().st_size
        return is_shorter and stated_bytes is not None and is_short_of(size, stated_bytes)
    return is_cut_short(path) or (is_shorter and result["failed_at_end"])


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} seconds"
    if seconds < 3_600:
        return f"{seconds / 60:g} minutes"
    return f"{seconds / 3_600:g} hours"
