"""Which language is spoken, heard where somebody speaks."""

from typing import TYPE_CHECKING

import numpy as np

from resources.speech_spans import SAMPLE_RATE_HZ, SpeechActivity

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

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
    votes: dict[str, float] = {}
    heard = 0
    for start_s in _window_starts(activity):
        first = int(start_s * SAMPLE_RATE_HZ)
        window = waveform[first : first + int(_WINDOW_S * SAMPLE_RATE_HZ)]
        _, _, probabilities = model.detect_language(audio=window)
        heard += 1
        for language, probability in probabilities:
            votes[language] = votes.get(language, 0.0) + probability
        language = max(votes, key=lambda each: votes[each])
        if votes[language] / heard >= _SURE:
            break
    language = max(votes, key=lambda each: votes[each])
    return language, min(1.0, votes[language] / heard)


def _window_starts(activity: SpeechActivity) -> list[float]:
    """The first speech, then spread over the spans that begin after that window."""
    starts = [max(0.0, span.start_s - _LEAD_S) for span in activity.spans]
    later = [start for start in starts if start >= starts[0] + _WINDOW_S]
    more = _MAX_WINDOWS - 1
    if len(later) > more:
        later = [later[len(later) * at // more] for at in range(more)]
    return [starts[0], *later]
