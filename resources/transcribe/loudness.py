"""Loudness of speech, and amplification of quiet speakers in recordings with louder ones.

Whisper's spectrogram ends 80 dB below its loudest moment, and what is far below the rest it takes
for background: a speaker 40 dB quieter than the one before was left out as a whole. Recordings on
one level are not changed.
"""

from bisect import bisect_left

import numpy as np

from resources.audio.samples import SAMPLE_RATE_HZ
from resources.transcribe.speech_detector import loudness
from resources.transcribe.speech_spans import Span

_RANGE = 10.0  # 20 dB: speech further below the loudest span is amplified to this level
_MAX_GAIN = 30.0
_RAMP_S = 0.05


def amplify_quiet_speech(waveform: np.ndarray, region: Span, spans: tuple[Span, ...]) -> np.ndarray:
    """Return the samples of a region with its quiet speech amplified; a view if there is none.

    Args:
        waveform: float32, shape (n_samples,), mono, 16 kHz.
        spans: speech of the whole waveform in time order.
    """
    samples = _cut(waveform, region)
    first, end = (bisect_left(spans, at_s, key=_start_s) for at_s in (region.start_s, region.end_s))
    inside = spans[first:end]
    levels = [loudness(_cut(waveform, span)) for span in inside]
    target = max(levels, default=0.0) / _RANGE
    gains = [min(target / level, _MAX_GAIN) if 0.0 < level < target else 1.0 for level in levels]
    if max(gains, default=1.0) == 1.0:
        return samples
    times, factors = [], []
    for at, (span, gain) in enumerate(zip(inside, gains, strict=True)):
        before = inside[at - 1].end_s if at else region.start_s
        after = inside[at + 1].start_s if at + 1 < len(inside) else region.end_s
        start_s, end_s = (before + span.start_s) / 2, (span.end_s + after) / 2
        times += [min(start_s + _RAMP_S, span.start_s), max(end_s - _RAMP_S, span.end_s)]
        factors += [gain, gain]
    clock = np.arange(len(samples)) / SAMPLE_RATE_HZ + region.start_s
    return (samples * np.interp(clock, times, factors)).astype(np.float32)


def _cut(waveform: np.ndarray, span: Span) -> np.ndarray:
    first = int(span.start_s * SAMPLE_RATE_HZ)
    return waveform[first : int(np.ceil(span.end_s * SAMPLE_RATE_HZ))]


def _start_s(span: Span) -> float:
    return span.start_s
