"""The messages between a run and a worker, as lines of JSON, without loss of precision.

A run sends one line, its request; between machines the samples follow it. The worker answers with
lines, each an object with one of these keys: `progress`, `segment`, `part` (of a checkpoint), and
in the last line `recognition` with `engine`, or `error`.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Self, cast

from pydantic import TypeAdapter, ValidationError

from resources.shortages import shortage_of
from resources.transcribe.checkpoint import Part
from resources.transcribe.transcriber import EngineInfo
from ytcaption.domain.errors import YtcaptionError
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import DroppedSegment, Recognition, Segment, Word

PROTOCOL = 1
"""Version. Runs skip workers of another one."""

SAMPLE_BYTES = 4

Message = dict[str, Any]
"""One line of a response."""


@dataclass(frozen=True)
class TranscribeRequest:
    """A run's request to transcribe a recording.

    Attributes:
        samples: number of samples.
        path: file with these samples, float32, for a worker on the same machine; None: they follow
            the request, in little-endian order.
        checkpoint: parts saved by earlier attempts; None: parts are not saved.
    """

    options: TranscriptionOptions
    samples: int
    path: str | None = None
    checkpoint: list[dict[str, Any]] | None = None

    @property
    def parts(self) -> list[Part]:
        """The parts of the checkpoint, not validated."""
        return cast("list[Part]", self.checkpoint or [])

    def to_line(self) -> bytes:
        """Return the request as one line."""
        return encode_line(asdict(self))

    @classmethod
    def from_line(cls, data: bytes) -> Self:
        """Parse a line made by `to_line`.

        Raises:
            ValueError: it is not a valid request.
        """
        try:
            return cast("Self", _TRANSCRIBE_REQUEST.validate_json(data))
        except ValidationError as error:
            raise ValueError(f"not a valid request: {error.error_count()} errors in it") from None


_TRANSCRIBE_REQUEST: TypeAdapter[TranscribeRequest] = TypeAdapter(TranscribeRequest)


@dataclass(frozen=True)
class EmbeddingHealth:
    """State of a worker's embedding process.

    Attributes:
        model: name of its only model.
        memory_bytes: of the process; 0 if it is not running.
    """

    model: str
    is_loaded: bool = False
    memory_bytes: int = 0


@dataclass(frozen=True)
class Health:
    """State of a worker.

    Attributes:
        engine: `batched` or `sequential`; with another engine or beam size the result would differ
            from that of the run itself.
        jobs: recordings being transcribed.
        slots: most recordings at once.
        models: loaded models.
        memory_bytes: of the process.
        embedding: None if the extra `semantic` is not installed.
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
        """Return JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Parse the JSON of `to_dict`.

        Raises:
            ValueError: it is not the health of a worker.
        """
        try:
            return cast("Self", _HEALTH.validate_json(data))
        except ValidationError as error:
            raise ValueError("not the health of a worker") from error


_HEALTH: TypeAdapter[Health] = TypeAdapter(Health)


def encode_line(message: Message) -> bytes:
    """Return a message as one line of ASCII, so that no character of a text can end the line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def encode_result(recognition: Recognition, engine: EngineInfo) -> Message:
    """Return the last message of a successful job."""
    return {"recognition": asdict(recognition), "engine": asdict(engine)}


def decode_result(message: Message) -> tuple[Recognition, EngineInfo]:
    """Decode a message of `encode_result`."""
    values = message["recognition"]
    segments = tuple(decode_segment(each) for each in values["segments"])
    dropped = tuple(DroppedSegment(**each) for each in values["dropped"])
    recognition = Recognition(**(values | {"segments": segments, "dropped": dropped}))
    return recognition, EngineInfo(**message["engine"])


def decode_segment(values: dict[str, Any]) -> Segment:
    """Return the segment that `asdict` gave these values for."""
    fields: dict[str, Any] = values | {"words": tuple(Word(**word) for word in values["words"])}
    return Segment(**fields)


def encode_error(error: BaseException) -> Message:
    """Return the last message of a failed job. Details of unexpected errors are not sent."""
    known = error if isinstance(error, YtcaptionError) else shortage_of(error)
    if known is not None:
        return {"error": {"code": known.code, "message": known.message}}
    return {"error": {"code": "internal_error", "message": "Something went wrong in the worker."}}


def decode_error(message: Message) -> YtcaptionError | None:
    """Return the worker's error; None if there is no class with its code."""
    code = message["error"]["code"]
    for kind in YtcaptionError.kinds():
        if kind.code == code:
            return kind(message["error"]["message"])
    return None
