"""Program that opens an untrusted media file. Run by path; it imports nothing of ytcaption.

`python -I decoder_child.py '<request as JSON>'` prints one JSON object: the result, or `{"error":
...}`. Samples are written to an open file descriptor that it inherits. It sets its limits before
FFmpeg is loaded: address space, CPU seconds, file size, no core file, no network if the system
allows it, and it dies with the process that started it.
"""

import contextlib
import ctypes
import errno
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass

SAMPLE_RATE_HZ = 16_000
BYTES_PER_SAMPLE = 4

MAX_GAP_S = 600.0
"""A longer gap between timestamps is a jump of the clock, not silence."""

MIN_GAP_S = 0.1
"""Containers round timestamps (AVI and MP3 to a packet); a shorter gap is ignored."""

_GROUP_SAMPLES = 65_536
_ABSOLUTE_CLOCKS = ("mov", "matroska")
"""Containers whose time 0 is the start of the media; others start at any time."""

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def confine(memory_bytes: int, cpu_s: int, file_bytes: int, parent_pid: int) -> None:
    """Give up everything that this process does not need, permanently."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit(1)  # the parent died before the line above
    with contextlib.suppress(AttributeError):
        # An empty network namespace is a second barrier beside the protocol whitelist. For root, a
        # new user namespace would remove the right to read other users' files.
        if libc.unshare(_CLONE_NEWNET) != 0 and os.geteuid() != 0:
            libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))


@dataclass
class Decoded:
    """Result of decoding a track.

    Attributes:
        samples: samples written, at the requested rate.
        packets, skipped: packets of the track; packets that could not be decoded.
        failed_at_end: nothing could be decoded after the last failure.
    """

    samples: int = 0
    packets: int = 0
    skipped: int = 0
    failed_at_end: bool = False
    too_long: bool = False


class Resampler:
    """Converts frames of one format to mono of one rate, in groups: a call per packet costs
    more."""

    def __init__(self, sample_rate_hz: int) -> None:
        import av

        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=sample_rate_hz)
        self._fifo = av.AudioFifo()

    def add(self, frame) -> Iterator[bytes]:
        """Add a frame and yield the samples that are ready, as float32 in [-1, 1]."""
        frame.pts = None
        self._fifo.write(frame)
        if self._fifo.samples >= _GROUP_SAMPLES:
            yield from self._resampled(self._fifo.read())

    def flush(self) -> Iterator[bytes]:
        """Yield the remaining samples."""
        if self._fifo.samples:
            yield from self._resampled(self._fifo.read())
        yield from self._resampled(None)

    def _resampled(self, frame) -> Iterator[bytes]:
        for resampled in self._resampler.resample(frame):
            samples = resampled.to_ndarray()[0].astype("float32")
            samples /= 32768.0
            yield samples.tobytes()


class Writer:
    """Writes frames as samples on the media's clock, with silence for gaps between timestamps."""

    def __init__(
        self,
        file_descriptor: int,
        max_samples: int,
        clock_start_s: float,
        sample_rate_hz: int = SAMPLE_RATE_HZ,
    ) -> None:
        self._file_descriptor = file_descriptor
        self._sample_rate_hz = sample_rate_hz
        self._max_samples = max_samples
        self._base_s = clock_start_s
        self._cursor_s = 0.0
        self._resampler: Resampler | None = None
        self._form: tuple | None = None
        self.samples = 0

    @property
    def full(self) -> bool:
        """Whether the audio is longer than allowed."""
        return self.samples > self._max_samples

    def add(self, frame) -> None:
        """Add a decoded frame of any rate, layout and format."""
        if not frame.samples or not frame.sample_rate:
            return
        if frame.time is not None:
            self._align(frame.time)
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or form != self._form:
            self.flush()
            self._resampler, self._form = Resampler(self._sample_rate_hz), form
        self._cursor_s += frame.samples / frame.sample_rate
        for data in self._resampler.add(frame):
            self._write(data)

    def flush(self) -> None:
        """Write what the resampler still holds; the next frame gets a new resampler."""
        resampler, self._resampler = self._resampler, None
        if resampler is not None:
            for data in resampler.flush():
                self._write(data)

    def _align(self, time_s: float) -> None:
        gap_s = time_s - self._base_s - self._cursor_s
        if MIN_GAP_S < gap_s <= MAX_GAP_S:
            self.flush()
            self._cursor_s += gap_s
            self._silence(round(self._cursor_s * self._sample_rate_hz) - self.samples)
        elif abs(gap_s) > MAX_GAP_S:
            self._base_s = time_s - self._cursor_s

    def _silence(self, samples: int) -> None:
        while samples > 0 and not self.full:
            count = min(samples, _GROUP_SAMPLES)
            self._write(bytes(count * BYTES_PER_SAMPLE))
            samples -= count

    def _write(self, data: bytes) -> None:
        if self.full:
            return
        self.samples += len(data) // BYTES_PER_SAMPLE
        view = memoryview(data)
        while view:
            view = view[os.write(self._file_descriptor, view) :]


def _open(request: dict):
    import av

    return av.open(
        "file:" + request["path"],
        options={"protocol_whitelist": "file", "format_whitelist": request["formats"]},
        metadata_errors="ignore",
    )


def _track(container):
    """Return the default audio track, else the first; None if there is none."""
    from av.stream import Disposition

    tracks = container.streams.audio
    chosen = next((each for each in tracks if each.disposition & Disposition.default), None)
    return chosen or next(iter(tracks), None)


def _described(container, track) -> dict:
    codec = track.codec_context
    duration_s = None
    if track.duration and track.time_base:
        duration_s = float(track.duration * track.time_base)
    container_s = container.duration / 1_000_000 if container.duration else None
    return {
        "container": container.format.name,
        "codec": codec.codec.canonical_name,
        "sample_rate_hz": codec.sample_rate or 0,
        "channels": codec.channels or 0,
        "track_s": duration_s,
        "duration_s": duration_s or container_s,
    }


def _clock_start_s(container) -> float:
    if container.format.name.startswith(_ABSOLUTE_CLOCKS) or container.start_time is None:
        return 0.0
    return container.start_time / 1_000_000


def decode(container, track, writer: Writer) -> Decoded:
    """Decode the track into the writer; skip packets that cannot be decoded."""
    from av.error import FFmpegError
    from av.stream import Discard

    result = Decoded()
    for stream in container.streams:
        if stream is not track:
            stream.discard = Discard.all
    for packet in _packets(container, track, result):
        result.packets += 1
        try:
            for frame in packet.decode():
                result.failed_at_end = False
                writer.add(frame)
        except MemoryError:
            raise
        except FFmpegError:
            result.failed_at_end = True
            result.skipped += 1
        if writer.full:
            result.too_long = True
            break
    else:
        writer.flush()
    result.samples = writer.samples
    return result


def _packets(container, track, result: Decoded):
    """Yield the track's packets, up to where the container can no longer be read."""
    from av.error import FFmpegError

    packets = container.demux(track)
    while True:
        try:
            packet = next(packets, None)
        except MemoryError:
            raise
        except FFmpegError:
            result.failed_at_end = True
            return
        if packet is None:
            return
        yield packet


def process(request: dict) -> dict:
    """Carry out the request and return the result."""
    from av.error import FFmpegError

    try:
        container = _open(request)
    except MemoryError:
        raise
    except FFmpegError as error:
        return {"error": "not_media", "detail": str(error)}
    with container:
        track = _track(container)
        if track is None:
            return {"error": "no_audio_track"}
        if track.codec_context is None:
            return {"error": "unknown_codec"}
        described = _described(container, track)
        if request["output"] is None:
            return described
        rate = request.get("sample_rate_hz", SAMPLE_RATE_HZ)
        max_samples = int(request["max_audio_s"] * rate)
        writer = Writer(request["output"], max_samples, _clock_start_s(container), rate)
        return described | vars(decode(container, track, writer))


def run(request: dict) -> None:
    """Set the limits, process the request and print the result."""
    confine(**request["limits"])
    try:
        result = process(request)
    except (MemoryError, ImportError) as error:  # libraries that cannot be mapped
        result = {"error": "memory", "detail": str(error)}
    except OSError as error:
        codes = {errno.ENOSPC: "disk_full", errno.EDQUOT: "disk_full", errno.ENOMEM: "memory"}
        result = {"error": codes.get(error.errno or 0, "failed"), "detail": str(error)}
    except Exception as error:
        result = {"error": "failed", "detail": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    run(json.loads(sys.argv[1]))
