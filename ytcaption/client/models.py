"""What the server answers. Fields that a newer server adds are kept as they come."""

from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ytcaption.client.errors import UnexpectedAnswer
from ytcaption.domain.caption_choice import CaptionsPolicy
from ytcaption.domain.request import Priority, Task, TranscriptionStatus


class Answer(BaseModel):
    """Cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Accepted(Answer):
    """A request that the server has kept.

    Attributes:
        id: of the transcription, which equal requests share.
        request_id: of this request.
    """

    id: str
    request_id: UUID
    status: TranscriptionStatus
    created_at: datetime


class Progress(Answer):
    """How far a stage is: bytes while downloading, seconds of audio while transcribing."""

    done: float
    total: float | None = None
    unit: str | None = None
    fraction: float | None = None


class Failure(Answer):
    """Why the last attempt failed."""

    code: str
    message: str


class Media(Answer):
    """The source, as far as it is known. Its texts are a stranger's."""

    id: str
    kind: str
    url: str | None = None
    title: str | None = None
    channel: str | None = None
    duration_s: float | None = None

    @property
    def name(self) -> str:
        """Its title, or for want of one its id."""
        return self.title or self.id


class WaitingFor(Answer):
    """What a queued transcription waits for, beside its turn.

    Attributes:
        until: when it may go on; None: when an operator says so.
    """

    code: str
    message: str
    until: datetime | None = None


class Options(Answer):
    """The options that make the text."""

    model: str
    language: str | None = None
    task: Task = "transcribe"
    initial_prompt: str | None = None
    hotwords: str | None = None
    temperature: float | None = None
    captions: CaptionsPolicy = "prefer"


class Captions(Answer):
    """What came of looking for captions of the source.

    Attributes:
        kind: `manual`, `automatic` or `translated` (by people); None: the audio was heard.
    """

    reason: str
    kind: str | None = None
    track: str | None = None
    language: str | None = None
    spoken_language: str | None = None


class Made(Answer):
    """How the text came about.

    Attributes:
        source: `asr`, `manual_captions` or `automatic_captions`.
        captions: None: nobody looked for any.
    """

    source: str
    engine: str
    model: str
    captions: Captions | None = None


class Transcription(Answer):
    """Where a transcription stands.

    Attributes:
        stage: `audio_download`, `transcription` or `transcript_parquet`; None before the first.
        queue_position: among those queued, from 1.
        attempt: of this series of retries, from 1.
        waiting_for: set while it is queued and waits for more than its turn.
        metadata: what was given with the request.
        keep: it stays, and its audio, whatever their age.
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
    keep: bool = False
    provenance: Made | None = None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None = None


class MediaVersions(Answer):
    """A media and one's transcriptions of it.

    Attributes:
        versions: how many, in whatever status.
        latest: id of the one that was completed last; None: none is.
    """

    media: Media
    versions: int
    completed: int
    latest: str | None = None


class LeftOut(Answer):
    """What is not made anew, and why."""

    reason: str
    number: int


class Anew(Answer):
    """What is made anew, or would be.

    Attributes:
        looked_at: transcriptions that fit.
        number: versions that are queued.
        audio_s: of all of them.
        ids: theirs.
        joined: versions that are there already, and are one's own now, too.
        next_cursor: None: all were looked at.
    """

    looked_at: int
    number: int
    audio_s: float
    ids: list[str]
    joined: int
    left_out: list[LeftOut]
    next_cursor: str | None = None


class Canceled(Transcription):
    """Where a transcription stands after a cancel.

    Attributes:
        effect: `canceled`, `withdrawn` (it goes on for others) or `unchanged` (it was at rest).
    """

    effect: str


class Event(Answer):
    """Something that happened to a transcription.

    Attributes:
        id: to go on after, as `Last-Event-ID`.
        type: such as `state`, `progress` or `segment`.
        data: as docs/reference/events.md has it for the type.
    """

    id: str
    type: str
    data: dict[str, Any] = Field(default_factory=dict)


class HistoryEvent(Answer):
    """Something that happened to a transcription, as its history keeps it.

    Attributes:
        event_type: such as `Queued`; docs/reference/events.md lists them.
        run_id: of the run that did it, or that it hit.
        trace_id: of W3C trace context.
        data: ids, codes and numbers, as docs/reference/events.md has it for the type.
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


class HistoryPage(Answer):
    """Some of a history."""

    items: tuple[HistoryEvent, ...]
    next_cursor: str | None = None


class Refusal(Answer):
    """One of a batch that the server did not take.

    Attributes:
        status: as of a request of its own.
    """

    status: int
    code: str
    detail: str


class BatchItem(Answer):
    """What became of one of a batch: one of the two."""

    transcription: Accepted | None = None
    problem: Refusal | None = None

    @property
    def answer(self) -> Accepted | Refusal:
        """The one that it is."""
        return self.transcription or self.problem or Refusal(status=0, code="", detail="")


class Batch(Answer):
    """What became of all, in their order."""

    items: tuple[BatchItem, ...]


class Page(Answer):
    """Some of a list."""

    items: tuple[Transcription, ...]
    next_cursor: str | None = None


class UsageLimits(Answer):
    """What the key may; None is any number."""

    requests_per_minute: int | None = None
    concurrent_transcriptions: int | None = None
    audio_minutes_per_day: int | None = None


class Usage(Answer):
    """What the key has used of what it may."""

    owner: str
    scopes: tuple[Literal["read", "write", "admin"], ...]
    unfinished_transcriptions: int
    audio_minutes_last_24_h: float
    limits: UsageLimits


A = TypeVar("A", bound=Answer)


def read_as(model: type[A], answer: httpx.Response) -> A:
    """A body as what it is to be.

    Raises:
        UnexpectedAnswer: it is something else.
    """
    try:
        return model.model_validate_json(answer.content)
    except ValidationError:
        raise UnexpectedAnswer(
            f"What answers at {answer.request.url.host} is no ytcaption, or one of another time. "
            "Check the server's address."
        ) from None
