"""Helpers of all benchmarks: clips, scoring, clocks, memory."""

import csv
import resource
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ytcaption.domain.transcripts.metrics import WordErrors

TEST_DATA = Path(__file__).parents[1] / "tests" / "data"
NO_SPEECH_KINDS = ("silence", "noise", "music")


@dataclass(frozen=True)
class Clip:
    """One row of a `manifest.csv`.

    Attributes:
        language: Whisper's code; empty without speech.
        reference: the spoken text; empty if there is no reference.
        kind: `read`, `call`, `silence`, `noise`, `music` and others.
    """

    path: Path
    language: str
    reference: str
    kind: str
    duration_s: float


def clips(directory: Path) -> list[Clip]:
    """Return the clips listed in a directory's `manifest.csv`, without the broken files."""
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
class Clock:
    """Wall-clock seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the block's wall-clock time to a stage."""
        began = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - began
            self.seconds[stage] = self.seconds.get(stage, 0.0) + took


def peak_memory_bytes(*, children: bool = False) -> int:
    """Return the peak resident memory of this process, or of its children that have ended."""
    who = resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF
    return resource.getrusage(who).ru_maxrss * 1024


def total(errors: Iterable[WordErrors]) -> WordErrors:
    """Return the sum of errors."""
    return sum(errors, WordErrors())
