"""What tests of speech recognition give it, and what they read of its answer."""

import numpy as np

from resources.audio.decoder import decode
from tests.support.paths import DATA
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import Recognition

TINY_EN = TranscriptionOptions(model="tiny.en", language="en")


def samples(name: str) -> np.ndarray:
    """A file of the tests' data."""
    return decode(DATA / name, max_audio_s=600, memory_bytes=1 << 30)


def text(recognition: Recognition) -> str:
    """All that was heard."""
    return " ".join(segment.text for segment in recognition.segments)
