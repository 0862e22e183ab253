"""What a run and a worker say to each other, as lines of JSON; nothing is lost on the way.

A run sends one line, its order; between machines the samples follow it. The worker answers with
lines, each an object of one of these: `progress`, `segment`, `part` (of a checkpoint), and at the
end `recognition` with `engine`, or `error`.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self, cast

from pydantic import TypeAdapter, ValidationError

from resources.transcribe.checkpoint import Part
from resources.transcribe.transcriber import EngineInfo
from ytcaption.domain.errors import YtcaptionError
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import DroppedSegment, Recognition, Segment, Word

PROTOCOL = 1
"""Runs and workers of another number pass each other over."""

SAMPLE_BYTES = 4

Said = dict[str, Any]
"""One line of an answer."""


@dataclass(frozen=True)
class Order:
    """What a run asks of a worker.

    Attributes:
        samples: how many the audio has.
        path: of a file of these samples, float32, for a worker on the same machine; None: they
            follow, in little-endian order.
        checkpoint: parts that earlier attempts have left; None: nobody keeps any.
    """

    options: TranscriptionOptions
    samples: int
    path: str | None = None
    checkpoint: list[dict[str, Any]] | None = None

    @property
    def parts(self) -> list[Part]:
        """The checkpoint's; whoever goes on from them checks them."""
        return cast("list[Part]", self.checkpoint or [])

    def line(self) -> bytes:
        """Ends with the line's end."""
        return line(asdict(self))

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The inverse of `line`.

        Raises:
            ValueError: no order.
        """
        try:
            return cast("Self", _ORDER.validate_json(data))
        except ValidationError as error:
            raise ValueError(f"no order: {error.error_count()} things are wrong with it") from None


_ORDER: TypeAdapter[Order] = TypeAdapter(Order)


@dataclass(frozen=True)
class EmbeddingHealth:
    """How a worker's process is that makes vectors of texts.

    Attributes:
        model: the name of the one model that it has.
        memory_bytes: of the process; 0 where it does not run.
    """

    model: str
    is_loaded: bool = False
    memory_bytes: int = 0


@dataclass(frozen=True)
class Health:
    """How a worker is.

    Attributes:
        engine: `batched` or `sequential`, with its beam: those of other settings would hear
            something else than the run itself.
        jobs: recordings that it hears.
        slots: how many of them at once, at most.
        models: that are loaded.
        memory_bytes: of the process.
        embedding: None where the extra `semantic` is not installed.
    """

    engine: str
    beam_size: int
    jobs: int
    slots: int
    memory_bytes: int
    models: list[str] = field(default_factory=list)
    embedding: EmbeddingHealth | None = None
    protocol: int = PROTOCOL

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The inverse of `to_dict` as JSON.

        Raises:
            ValueError: no health of a worker.
        """
        try:
            return cast("Self", _HEALTH.validate_json(data))
        except ValidationError as error:
            raise ValueError("no worker's health") from error


_HEALTH: TypeAdapter[Health] = TypeAdapter(Health)


def line(said: Said) -> bytes:
    """One line of ASCII: no character of a text is taken for its end."""
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def encode_result(recognition: Recognition, engine: EngineInfo) -> Said:
    """The last line of a job that is done."""
    return {"recognition": asdict(recognition), "engine": asdict(engine)}


def result_of(said: Said) -> tuple[Recognition, EngineInfo]:
    """The inverse of `encode_result`."""
    raw = said["recognition"]
    segments = tuple(segment_of(item) for item in raw["segments"])
    dropped = tuple(DroppedSegment(**item) for item in raw["dropped"])
    recognition = Recognition(**(raw | {"segments": segments, "dropped": dropped}))
    return recognition, EngineInfo(**said["engine"])


def segment_of(raw: dict[str, Any]) -> Segment:
    """The inverse of `asdict`."""
    fields: dict[str, Any] = raw | {"words": tuple(Word(**word) for word in raw["words"])}
    return Segment(**fields)


def encode_error(error: BaseException) -> Said:
    """The last line of a job that failed. What is no error for a person is told to nobody."""
    if isinstance(error, YtcaptionError):
        return {"error": {"code": error.code, "message": error.message}}
    return {"error": {"code": "internal_error", "message": "Something went wrong in the worker."}}


def error_of(said: Said) -> YtcaptionError | None:
    """The error that the worker had; None where it has no class here."""
    code = said["error"]["code"]
    for kind in YtcaptionError.kinds():
        if kind.code == code:
            return kind(said["error"]["message"])
    return None
