"""What an engine is given, and what it is."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

BEAM_SIZE = 5
THREADS = 2


@dataclass(frozen=True)
class Recording:
    """Samples in a file.

    Attributes:
        file: float32, mono, 16 kHz, nothing else.
        language: Whisper's code; None: to be detected.
    """

    file: Path
    language: str | None

    def samples(self) -> np.ndarray:
        """All of them, in memory."""
        return np.fromfile(self.file, np.float32)


@dataclass(frozen=True)
class Weights:
    """A model as CTranslate2 reads it.

    Attributes:
        name: such as `tiny.en`.
        converted: a folder for what other engines need.
    """

    name: str
    directory: Path
    converted: Path

    @property
    def is_multilingual(self) -> bool:
        """False for the models of English alone."""
        return not self.name.endswith(".en")

    def made(self, name: str, write: Callable[["Weights", Path], None]) -> Path:
        """A file or folder of converted weights, written once, whole or not at all."""
        there = self.converted / name
        if not there.exists():
            with tempfile.TemporaryDirectory(dir=self.converted) as folder:
                write(self, Path(folder) / name)
                (Path(folder) / name).rename(there)
        return there


Hear = Callable[[list[Recording]], list[str]]
"""Recordings to what is said in each."""
