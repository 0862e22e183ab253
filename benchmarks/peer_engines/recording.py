"""The interface of the engines: recordings and weights in, texts out."""

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
        language: Whisper's code; None: detected by the engine.
    """

    file: Path
    language: str | None

    def samples(self) -> np.ndarray:
        """Read all samples into memory."""
        return np.fromfile(self.file, np.float32)


@dataclass(frozen=True)
class Weights:
    """A model in CTranslate2's format.

    Attributes:
        name: such as `tiny.en`.
        converted: folder for weights converted for other engines.
    """

    name: str
    directory: Path
    converted: Path

    @property
    def is_multilingual(self) -> bool:
        """Whether the model supports other languages than English."""
        return not self.name.endswith(".en")

    def convert_once(self, name: str, write: Callable[["Weights", Path], None]) -> Path:
        """Return a file or folder of converted weights, written once and atomically."""
        path = self.converted / name
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=self.converted) as folder:
                write(self, Path(folder) / name)
                (Path(folder) / name).rename(path)
        return path


Transcribe = Callable[[list[Recording]], list[str]]
"""Transcribes recordings; returns a text for each."""
