"""Language detection, in windows that contain speech."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from resources.audio.samples import SAMPLE_RATE_HZ
from resources.transcribe.speech_spans import SpeechActivity

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

T = TypeVar("T")

_CERTAIN = 0.7
_WINDOW_S = 30.0
_MAX_WINDOWS = 4
_LEAD_S = 0.5


def detect_language(
    model: "WhisperModel", waveform: np.ndarray, activity: SpeechActivity, given: str | None
) -> tuple[str, float]:
    """Return Whisper's code of the language and its probability, 0 to 1.

    The window that begins with the first speech decides. If it is uncertain, up to three more
    windows of the remaining speech are tested and the mean decides, so that an intro in another
    language, a jingle or a greeting does not.

    Args:
        given: a language that is known already.
    """
    if given is not None:
        return given, 1.0
    if not model.model.is_multilingual:
        return "en", 1.0
    starts = [max(0.0, span.start_s - _LEAD_S) for span in activity.spans]
    later = [start for start in starts if start >= starts[0] + _WINDOW_S]
    firsts = (int(start_s * SAMPLE_RATE_HZ) for start_s in spread([starts[0], *later]))
    windows = (waveform[first : first + int(_WINDOW_S * SAMPLE_RATE_HZ)] for first in firsts)
    return average_probabilities(dict(model.detect_language(audio=each)[2]) for each in windows)


def average_probabilities(windows: Iterable[Mapping[str, float]]) -> tuple[str, float]:
    """Return the language with the highest mean probability, and that mean.

    Args:
        windows: the probability of each language, per window. Iteration stops once it is certain.
    """
    sums: dict[str, float] = {}
    language, mean = "en", 0.0
    for number, probabilities in enumerate(windows, 1):
        for each, probability in probabilities.items():
            sums[each] = sums.get(each, 0.0) + probability
        language = max(sums, key=lambda each: sums[each])
        mean = min(1.0, sums[language] / number)
        if mean >= _CERTAIN:
            break
    return language, mean


def spread(windows: Sequence[T]) -> list[T]:
    """Return the first window and up to three more, evenly spaced over the rest."""
    first, later = windows[:1], windows[1:]
    more = _MAX_WINDOWS - 1
    if len(later) > more:
        later = [later[len(later) * at // more] for at in range(more)]
    return [*first, *later]
