"""What the server returns. Fields that a newer server adds are kept as extra attributes."""

from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

import httpx
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from ytcaption.client.deprecation import old_attribute, old_module_names
from ytcaption.client.errors import UnexpectedAnswer
from ytcaption.domain.caption_choice import CaptionsPolicy
from ytcaption.domain.request import Priority, Task, TranscriptionStatus


class Model(BaseModel):
    """Base class of everything the server returns; immutable."""

    model_config = ConfigDict(frozen=True, extra="allow", validate_by_name=True)


class Accepted(Model):
    """A request that the server has stored.

    Attributes:
        id: of the transcription, which equal requests share.
        request_id: of this request.
    """

    id: str
    request_id: UUID
    status: TranscriptionStatus
    created_at: datetime


class Progress(Model):
    """Progress of a stage: bytes while downloading, seconds of audio while transcribing."""

    done: float
    total: float | None = None
    unit: str | None = None
    fraction: float | None = None


class Failure(Model):
    """Why the last attempt failed."""

    code: str
    message: str


class Media(Model):
    """The source, as far as it is known. Its texts are untrusted."""

    id: str
    kind: str
    url: str | None = None
    title: str | None = None
    channel: str | None = None
    duration_s: float | None = None

    @property
    def name(self) -> str:
        """The title, or the id if there is none."""
        return self.title or self.id


class WaitingFor(Model):
    """Why a queued transcription waits, apart from its position in the queue.

    Attributes:
        until: when it may continue; None: when an operator resumes it.
    """

    code: str
    message: str
    until: datetime | None = None


class Options(Model):
    """The options that determine the text."""

    model: str
    language: str | None = None
    task: Task = "transcribe"
    initial_prompt: str | None = None
    hotwords: str | None = None
    temperature: float | None = None
    captions: CaptionsPolicy = "prefer"


class Captions(Model):
    """Which captions of the source were used, and why.

    Attributes:
        kind: `manual`, `automatic` or `translated` (by people); None: the audio was transcribed.
    """

    reason: str
    kind: str | None = None
    track: str | None = None
    language: str | None = None
    spoken_language: str | None = None


class Provenance(Model):
    """How the text was made.

    Attributes:
        source: `asr`, `manual_captions` or `automatic_captions`.
        captions: None: captions were not considered.
    """

    source: str
    engine: str
    model: str
    captions: Captions | None = None


class Transcription(Model):
    """The status of a transcription.

    Attributes:
        stage: `audio_download`, `transcription` or `transcript_parquet`; None before the first.
        queue_position: among the queued ones, from 1.
        attempt: of this series of attempts, from 1.
        waiting_for: set while it is queued for more than its position in the queue.
        metadata: from the request.
        pinned: it and its audio are exempt from retention by age.
        provenance: with `completed`.
    """

    id: str
    status: TranscriptionStatus
    stage: str | None = None
    progress: Progress | None = None
    queue_position: int | None = None
    attempt: int = 1
    max_attempts: int | None = None
    next_attempt_at: datetime | None = None
    waiting_for: WaitingFor | None = None
    error: Failure | None = None
    priority: Priority = "interactive"
    media: Media
    options: Options
    language: str | None = None
    duration_s: float | None = None
    word_count: int | None = None
    metadata: dict[str, Any] | None = None
    pinned: bool = Field(default=False, validation_alias=AliasChoices("pinned", "keep"))
    provenance: Provenance | None = None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None = None

    keep = old_attribute("keep", "pinned")


class MediaVersions(Model):
    """A media item and your transcriptions of it.

    Attributes:
        versions: number of transcriptions, in any status.
        latest: id of the one that was completed last; None: none is.
    """

    media: Media
    versions: int
    completed: int
    latest: str | None = None


class Exclusion(Model):
    """Transcriptions that are not made again, and why."""

    reason: str
    number: int


class Retranscription(Model):
    """What is transcribed again, or would be.

    Attributes:
        examined: transcriptions that match.
        number: versions that are queued.
        audio_s: of all of them.
        ids: of all of them.
        joined: versions that existed already and are now yours, too.
        next_cursor: None: all were examined.
    """

    examined: int = Field(validation_alias=AliasChoices("examined", "looked_at"))
    number: int
    audio_s: float
    ids: list[str]
    joined: int
    excluded: list[Exclusion] = Field(validation_alias=AliasChoices("excluded", "left_out"))
    next_cursor: str | None = None

    looked_at = old_attribute("looked_at", "examined")
    left_out = old_attribute("left_out", "excluded")


class Canceled(Transcription):
    """The status of a transcription after a cancel.

    Attributes:
        effect: `canceled`, `withdrawn` (it continues for others) or `unchanged` (it had ended).
    """

    effect: str


class Event(Model):
    """A server-sent event of a transcription.

    Attributes:
        id: to resume after, as `Last-Event-ID`.
        type: such as `state`, `progress` or `segment`.
        data: as docs/reference/events.md describes it for the type.
    """

    id: str
    type: str
    data: dict[str, Any] = Field(default_factory=dict)


class HistoryEvent(Model):
    """A stored event of a transcription.

    Attributes:
        event_type: such as `Queued`; docs/reference/events.md lists them.
        run_id: the run that caused it or was affected by it.
        trace_id: of W3C trace context.
        data: ids, codes and numbers, as docs/reference/events.md describes them for the type.
    """

    event_id: UUID
    event_type: str
    timestamp: datetime
    schema_version: int
    transcription_id: str
    media_id: str
    run_id: str | None = None
    trace_id: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)


class HistoryPage(Model):
    """One page of a history."""

    items: tuple[HistoryEvent, ...]
    next_cursor: str | None = None


class Refusal(Model):
    """An item of a batch that the server refused.

    Attributes:
        status: the HTTP status of a single request.
    """

    status: int
    code: str
    detail: str


class BatchItem(Model):
    """The outcome of one item of a batch: one of the two is set."""

    transcription: Accepted | None = None
    problem: Refusal | None = None

    @property
    def answer(self) -> Accepted | Refusal:
        """The one that is set."""
        return self.transcription or self.problem or Refusal(status=0, code="", detail="")


class Batch(Model):
    """The outcome of all items, in their order."""

    items: tuple[BatchItem, ...]


class Page(Model):
    """One page of transcriptions."""

    items: tuple[Transcription, ...]
    next_cursor: str | None = None


class UsageLimits(Model):
    """The key's limits; None: unlimited."""

    requests_per_minute: int | None = None
    concurrent_transcriptions: int | None = None
    audio_minutes_per_day: int | None = None


class Usage(Model):
    """The key's usage and limits."""

    owner: str
    scopes: tuple[Literal["read", "write", "admin"], ...]
    unfinished_transcriptions: int
    audio_minutes_last_24_h: float
    limits: UsageLimits


M = TypeVar("M", bound=Model)


def read_as(model: type[M], response: httpx.Response) -> M:
    """Return a response's body as a model.

    Raises:
        UnexpectedAnswer: the body is something else.
    """
    try:
        return model.model_validate_json(response.content)
    except ValidationError:
        raise UnexpectedAnswer(
            f"What answers at {response.request.url.host} is not a ytcaption, or another version. "
            "Check the server's address."
        ) from None


__getattr__ = old_module_names(
    __name__,
    {"Answer": Model, "Anew": Retranscription, "LeftOut": Exclusion, "Made": Provenance},
)
