"""Media files made by PyAV for tests: a tone whose start can be found again, in any container."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE_HZ = 48_000


def tone(seconds: float, *, rate_hz: int = RATE_HZ, channels: int = 1) -> np.ndarray:
    """440 Hz at half of full scale: s16, shape (channels, n)."""
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    wave = (0.5 * 32767 * np.sin(2 * np.pi * 440 * time_s)).astype(np.int16)
    return np.tile(wave, (channels, 1))


def write_media(
    path: Path,
    tracks: list[tuple[np.ndarray, dict]],
    *,
    codec: str,
    rate_hz: int = RATE_HZ,
    with_picture: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """A file with the given audio tracks.

    Args:
        tracks: s16 samples of shape (channels, n), and of each: `start_s`, `default`, `layout`,
            `holes_s` (pairs of seconds that are left out of the packets).
        with_picture: a video track of one second in front.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        if with_picture:
            video = container.add_stream("mpeg4", rate=10)
            video.width = video.height = 32
        streams = []
        for samples, form in tracks:
            layout = form.get("layout", "mono" if len(samples) == 1 else "stereo")
            stream = container.add_stream(codec, rate=rate_hz, layout=layout)
            stream.time_base = Fraction(1, rate_hz)
            if "default" in form:
                stream.disposition = av.stream.Disposition.default if form["default"] else 0
            streams.append(stream)
        if with_picture:
            for index in range(10):
                picture = av.VideoFrame.from_ndarray(
                    np.full((32, 32, 3), index * 20, np.uint8), format="rgb24"
                )
                picture.pts = index
                container.mux(video.encode(picture))
            container.mux(video.encode())
        for stream, (samples, form) in zip(streams, tracks, strict=True):
            _encode(container, stream, samples, form, rate_hz)
    return path


def _encode(container, stream, samples: np.ndarray, form: dict, rate_hz: int) -> None:
    layout = stream.codec_context.layout.name
    start = int(form.get("start_s", 0.0) * rate_hz)
    resampler = av.AudioResampler(
        format=stream.codec_context.format.name, layout=layout, rate=rate_hz
    )
    step = stream.codec_context.frame_size or 1024
    for at in range(0, samples.shape[1], step):
        if any(low <= at / rate_hz < high for low, high in form.get("holes_s", ())):
            continue
        piece = samples[:, at : at + step].T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece), format="s16", layout=layout)
        frame.rate, frame.pts, frame.time_base = rate_hz, start + at, Fraction(1, rate_hz)
        for ready in resampler.resample(frame):
            ready.pts = start + at
            container.mux(stream.encode(ready))
    container.mux(stream.encode())


def sounding_s(samples: np.ndarray, rate_hz: int = 16_000) -> tuple[float, float]:
    """Return the first and the last second that are louder than silence."""
    loud = np.flatnonzero(np.abs(samples) > 0.1)
    return float(loud[0] / rate_hz), float((loud[-1] + 1) / rate_hz)
