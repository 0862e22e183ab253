"""What every benchmark uses: clips, scoring, clocks, memory."""

import csv
import resource
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

TEST_DATA = Path(__file__).parents[1] / "tests" / "data"
NO_SPEECH_KINDS = ("silence", "noise", "music")


@dataclass(frozen=True)
class Clip:
    """One row of a `manifest.csv`.

    Attributes:
        language: Whisper's code; empty where nobody speaks.
        reference: what is said; empty where nobody wrote it down.
        kind: `read`, `call`, `silence`, `noise`, `music` and the like.
    """

    path: Path
    language: str
    reference: str
    kind: str
    duration_s: float


def clips(directory: Path) -> list[Clip]:
    """The clips that `manifest.csv` in a directory lists, without the broken files."""
    with (directory / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Clip(
            path=directory / row["file"],
            language=row["language"],
            reference=row["reference"],
            kind=row["kind"],
            duration_s=float(row["duration_s"]),
        )
        for row in rows
        if row["kind"] != "broken"
    ]


@dataclass
class Errors:
    """Word errors, summed over clips.

    For Chinese, Japanese and Korean a word is a character, as is usual for them.
    """

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    reference_words: int = 0

    @property
    def rate(self) -> float:
        """(substitutions + deletions + insertions) / reference words; 0 for no words."""
        errors = self.substitutions + self.deletions + self.insertions
        return errors / self.reference_words if self.reference_words else 0.0

    def __add__(self, other: "Errors") -> "Errors":
        return Errors(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.reference_words + other.reference_words,
        )


def word_errors(language: str, reference: str, text: str) -> Errors:
    """Errors of a text after Whisper's own normalisation of both."""
    import jiwer

    expected, heard = normalized(language, reference), normalized(language, text)
    if not expected:
        return Errors(insertions=len(heard.split()))
    result = jiwer.process_words(expected, heard)
    return Errors(
        result.substitutions,
        result.deletions,
        result.insertions,
        result.hits + result.substitutions + result.deletions,
    )


def normalized(language: str, text: str) -> str:
    """Words in one spelling, separated by blanks; whisper-normalizer."""
    return _normalizer(language)(text).strip()


@cache
def _normalizer(language: str):
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer

    if language == "en":
        return EnglishTextNormalizer()
    return BasicTextNormalizer(split_letters=language in ("zh", "yue", "ja", "ko", "th"))


@dataclass
class Clock:
    """Wall seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Adds the block's wall time to a stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - began
            self.seconds[stage] = self.seconds.get(stage, 0.0) + took


def peak_memory_bytes(*, children: bool = False) -> int:
    """The largest resident size of this process so far, or of its children that have ended."""
    who = resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF
    return resource.getrusage(who).ru_maxrss * 1024


def total(errors: Iterable[Errors]) -> Errors:
    """The sum."""
    return sum(errors, Errors())
