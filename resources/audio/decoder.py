"""Audio of any container in, mono samples out, decoded in a process that can be killed."""

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
from ytcaption.settings import Settings

logger = logging.getLogger(__name__)

_EXACT_CONTAINERS = frozenset(
    {"flac", "wav", "w64", "aiff", "caf", "au", "tta", "tak", "ape", "wv"}
)
"""Their headers count samples: fewer than stated is a file that was cut."""


class AudioDecoder(dg.ConfigurableResource):
    """Media files to samples, within limits of memory, time and length (rule 8)."""

    max_audio_s: float = Field(description="Longest audio, in seconds.")
    memory_bytes: int = Field(description="Address space of the decoding process.")
    scratch_directory: str | None = Field(
        default=None,
        description="Where samples lie while they are used, 230 MB an hour; nothing stays there.",
    )
    child_server: str | None = Field(
        default=None, description="Socket of the child server, where there may be one."
    )

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """As the settings say."""
        return cls(
            max_audio_s=settings.max_audio_s,
            memory_bytes=settings.decode_memory_bytes,
            scratch_directory=str(settings.home),
            child_server=str(child_server_socket(settings.home)),
        )

    def probe(self, path: Path) -> AudioProbe:
        """What a file's headers say; see `probe`."""
        return probe(path, memory_bytes=self.memory_bytes, server=self._server)

    def decode(
        self,
        path: Path,
        should_stop: Callable[[], bool] = lambda: False,
        sample_rate_hz: int = SAMPLE_RATE_HZ,
    ) -> np.ndarray:
        """A file's samples; see `decode`."""
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
        """A small picture of the loudness over time; see `waveform_png`."""
        return waveform_png(samples)

    @property
    def _server(self) -> Path | None:
        return Path(self.child_server) if self.child_server else None


def probe(path: Path, *, memory_bytes: int, server: Path | None = None) -> AudioProbe:
    """What a file's headers say of its audio track: the default one, else the first.

    Raises:
        FileUnreadable, EmptyFile, NotMedia, NoAudioTrack, AudioTruncated, AudioUndecodable.
    """
    _check_file(path)
    found = run_decoder(path, memory_bytes=memory_bytes, wall_s=PROBE_S, server=server)
    if is_cut_short(path):
        raise AudioTruncated(CUT_SHORT)
    return AudioProbe(
        container=found["container"],
        codec=found["codec"],
        sample_rate_hz=found["sample_rate_hz"],
        channels=found["channels"],
        duration_s=found["duration_s"],
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
    """The samples of a file's audio track, on the clock of the media.

    Where the track starts late or has a hole, there is silence, so that times fit the picture. A
    damaged packet is silence, too. The array maps a file that has no name: pages are read when
    touched (`audio_samples.release_pages`), and nothing is left when this process ends, even by
    kill.

    Returns:
        float32, shape (n_samples,), mono, of the rate, in [-1, 1], read-only.

    Raises:
        FileUnreadable, EmptyFile, NotMedia, NoAudioTrack, AudioTruncated, AudioUndecodable:
            what is wrong with the file.
        MediaTooLong: more than `max_audio_s`.
        DiskFull: no room for the samples in `scratch_directory` (default: the system's).
        ClaimLost: `should_stop` said so.
    """
    _check_file(path)
    with ExitStack() as stack:
        output = stack.enter_context(_scratch_file(scratch_directory))
        found = run_decoder(
            path,
            memory_bytes=memory_bytes,
            wall_s=PROBE_S + max_audio_s / 4,
            max_audio_s=max_audio_s,
            sample_rate_hz=sample_rate_hz,
            output=output,
            should_stop=should_stop,
            server=server,
        )
        if found["too_long"]:
            raise MediaTooLong(
                f"The audio is longer than the {_span(max_audio_s)} that are allowed here."
            )
        damaged = not found["samples"] or found["skipped"] * 2 > found["packets"]
        if damaged and not is_cut_short(path):
            raise AudioUndecodable(
                f"The audio track ({found['codec']}) is damaged: hardly any of it can be decoded."
            )
        if damaged or _is_truncated(path, found, sample_rate_hz):
            raise AudioTruncated(CUT_SHORT)
        if found["skipped"]:
            logger.warning("skipped %d of %d damaged packets", found["skipped"], found["packets"])
        stack.pop_all()  # open for as long as the samples are used
        return map_samples(output)


def _scratch_file(directory: Path | None) -> IO[bytes]:
    """Without a name: it is gone with the last process that has it open."""
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
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise FileUnreadable(f"'{path.name}' is no ordinary file. Give a file.")
        with path.open("rb") as file:
            if not file.read(1):
                raise EmptyFile("The file is empty (0 bytes). Get it again.")
    except FileNotFoundError:
        raise FileUnreadable(f"There is no file '{path.name}'.") from None
    except OSError as error:
        raise FileUnreadable(f"'{path.name}' cannot be read: {error.strerror}.") from error


def _is_truncated(path: Path, found: dict[str, Any], sample_rate_hz: int) -> bool:
    stated_s, end_s = found["track_s"], found["samples"] / sample_rate_hz
    is_shorter = stated_s is not None and is_short_of(end_s, stated_s)
    if found["container"] in _EXACT_CONTAINERS and is_shorter:
        return True
    if found["container"] == "mp3":
        # Without a Xing header the duration is a guess from the bit rate and proves nothing.
        stated_bytes = stated_mp3_bytes(path)
        size = path.stat().st_size
        return is_shorter and stated_bytes is not None and is_short_of(size, stated_bytes)
    return is_cut_short(path) or (is_shorter and found["failed_at_end"])


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} seconds"
    if seconds < 3_600:
        return f"{seconds / 60:g} minutes"
    return f"{seconds / 3_600:g} hours"
