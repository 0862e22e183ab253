"""Speed and accuracy of a transcription."""

from collections.abc import Sequence
from dataclasses import dataclass


def rtf(processing_s: float, audio_s: float) -> float:
    """Real-time factor: processing seconds per audio second, lower is faster; 0 for no audio.

    Raises:
        ValueError: a negative time.
    """
    if processing_s < 0 or audio_s < 0:
        raise ValueError("times are not negative")
    return processing_s / audio_s if audio_s else 0.0


@dataclass(frozen=True)
class WordErrors:
    """What an alignment of two texts finds. Counts add up: `a + b` is the sum over both texts."""

    hits: int
    substitutions: int
    deletions: int
    insertions: int

    @property
    def errors(self) -> int:
        """Words that are wrong: the edit distance."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def reference_words(self) -> int:
        """Words of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float:
        """Word error rate; over an empty reference the number of words heard (as jiwer)."""
        return self.errors / max(self.reference_words, 1)

    def __add__(self, other: "WordErrors") -> "WordErrors":
        return WordErrors(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )


def wer(reference: str, hypothesis: str) -> WordErrors:
    """Errors between two texts, word by word (split at white space); the caller normalises both.

    Of all alignments with the fewest errors, one with the most hits. Only a band around the
    diagonal is computed, doubled until the distance fits it: ten thousand words take seconds.

    Source: Ukkonen 1985, Algorithms for approximate string matching.
    """
    expected, heard = reference.split(), hypothesis.split()
    band = max(abs(len(expected) - len(heard)), 8)
    while True:
        errors, hits = _banded_distance(expected, heard, band)
        if errors <= band:
            break
        band *= 2
    insertions = errors - (len(expected) - hits)
    deletions = errors - (len(heard) - hits)
    return WordErrors(hits, errors - insertions - deletions, deletions, insertions)


def _banded_distance(expected: Sequence[str], heard: Sequence[str], band: int) -> tuple[int, int]:
    """Fewest errors, and the most hits with them, at most `band` off the diagonal."""
    # One number a cell: errors first, then hits as a discount too small to make up for an error.
    error = len(expected) + len(heard) + 1
    beyond = error * error
    width = len(heard)
    row = [column * error if column <= band else beyond for column in range(width + 1)]
    for index, word in enumerate(expected, 1):
        low, high = max(1, index - band), min(width, index + band)
        left = index * error if index <= band else beyond
        diagonal = row[low - 1]
        row[low - 1] = left
        for column in range(low, high + 1):
            above = row[column]
            cost = diagonal - 1 if heard[column - 1] == word else diagonal + error
            if above + error < cost:
                cost = above + error
            if left + error < cost:
                cost = left + error
            diagonal = above
            row[column] = left = cost
    errors = -(-row[width] // error)
    return errors, errors * error - row[width]
