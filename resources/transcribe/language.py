"""Which language is spoken, heard where somebody speaks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from resources.transcribe.speech_spans import SAMPLE_RATE_HZ, SpeechActivity

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

T = TypeVar("T")

_SURE = 0.7
_WINDOW_S = 30.0
_MAX_WINDOWS = 4
_LEAD_S = 0.5


def detect_language(
    model: "WhisperModel", waveform: np.ndarray, activity: SpeechActivity, given: str | None
) -> tuple[str, float]:
    """Whisper's code and its probability, 0 to 1.

    The window that begins with the first speech decides. Where it leaves a doubt, up to three more
    of the remaining speech are heard and the mean decides: an intro in another language, a jingle
    or a greeting does not.
    """
    if given is not None:
        return given, 1.0
    if not model.model.is_multilingual:
        return "en", 1.0
    starts = [max(0.0, span.start_s - _LEAD_S) for span in activity.spans]
    later = [start for start in starts if start >= starts[0] + _WINDOW_S]
    firsts = (int(start_s * SAMPLE_RATE_HZ) for start_s in spread([starts[0], *later]))
    windows = (waveform[first : first + int(_WINDOW_S * SAMPLE_RATE_HZ)] for first in firsts)
    return vote(dict(model.detect_language(audio=window)[2]) for window in windows)


def vote(heard: Iterable[Mapping[str, float]]) -> tuple[str, float]:
    """The language whose mean is highest, and its mean; no more is heard once that is sure.

    Args:
        heard: the probability of each language, a window each.
    """
    votes: dict[str, float] = {}
    language, mean = "en", 0.0
    for number, probabilities in enumerate(heard, 1):
        for each, probability in probabilities.items():
            votes[each] = votes.get(each, 0.0) + probability
        language = max(votes, key=lambda each: votes[each])
        mean = min(1.0, votes[language] / number)
        if mean >= _SURE:
            break
    return language, mean


def spread(windows: Sequence[T]) -> list[T]:
    """The first of them, and up to three more from over the rest."""
    first, later = windows[:1], windows[1:]
    more = _MAX_WINDOWS - 1
    if len(later) > more:
        later = [later[len(later) * at // more] for at in range(more)]
    return [*first, *later]
