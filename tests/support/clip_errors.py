"""Input samples of speech recognition tests, and the text of their results."""

import numpy as np

from resources.audio.decoder import decode
from tests.support.paths import DATA
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import Recognition

TINY_EN = TranscriptionOptions(model="tiny.en", language="en")


def samples(name: str) -> np.ndarray:
    """Decode a file of the test data."""
    return decode(DATA / name, max_audio_s=600, memory_bytes=1 << 30)


def text(recognition: Recognition) -> str:
    """Return the whole text."""
    return " ".join(segment.text for segment in recognition.segments)
