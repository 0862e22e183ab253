"""Speed and accuracy of a transcription."""

from collections import Counter
from dataclasses import dataclass


def rtf(processing_s: float, audio_s: float) -> float:
    """Return the real-time factor: processing seconds per audio second; 0 for no audio.

    Raises:
        ValueError: a negative time.
    """
    if processing_s < 0 or audio_s < 0:
        raise ValueError("times must not be negative")
    return processing_s / audio_s if audio_s else 0.0


@dataclass(frozen=True)
class WordErrors:
    """The result of aligning two texts. Counts add up: `a + b` is the sum over both texts."""

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def errors(self) -> int:
        """The number of wrong words: the edit distance."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def reference_words(self) -> int:
        """The number of words in the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float:
        """The word error rate; for an empty reference the number of transcribed words (as
        jiwer)."""
        return self.errors / max(self.reference_words, 1)

    def __add__(self, other: "WordErrors") -> "WordErrors":
        return WordErrors(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )


def wer(reference: str, hypothesis: str) -> WordErrors:
    """Return the errors between two texts, word by word (split at white space); both are normalised
    by the caller.

    Source: RapidFuzz, as jiwer; ten thousand words take milliseconds.
    """
    from rapidfuzz.distance import Levenshtein

    expected, actual = reference.split(), hypothesis.split()
    edits = Counter(edit.tag for edit in Levenshtein.editops(expected, actual))
    substitutions, deletions = edits["replace"], edits["delete"]
    hits = len(expected) - substitutions - deletions
    return WordErrors(hits, substitutions, deletions, edits["insert"])
