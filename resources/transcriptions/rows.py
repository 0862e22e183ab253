"""What the rows of schema `ytcaption` are in Python."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal
from uuid import UUID

from ytcaption.domain.errors import YtcaptionError
from ytcaption.domain.media.media import MediaInfo, MediaSource, StoredAudio
from ytcaption.domain.request import (
    Priority,
    TranscriptionOptions,
    TranscriptionStatus,
    partition_key,
    run_key,
)
from ytcaption.domain.transcripts.transcript import Provenance


@dataclass(frozen=True)
class TranscriptionRow:
    """One transcription as it stands.

    Attributes:
        attempt: the current or next one, from 1; counts on when it is asked for again.
        try_number: which attempt of this series of retries, from 1.
        run_id: of the run that works on it, or of the last one once it is at rest.
        stage: what the run does, such as `download`.
        stage_started_at: None before the first attempt, and of what ran before this was kept.
        progress_done: of `progress_total`, in the stage's unit: bytes or seconds of audio.
        document_sha256: hex, of the bytes under `document_key`.
        language: of the speech; None where there is none, or it is not known yet.
        duration_s: of the audio.
    """

    id: str
    media_id: str
    options: TranscriptionOptions
    status: TranscriptionStatus
    priority: Priority
    attempt: int
    try_number: int
    queued_at: datetime
    next_attempt_at: datetime
    run_id: str | None
    heartbeat_at: datetime | None
    stage: str | None
    stage_started_at: datetime | None
    progress_done: float | None
    progress_total: float | None
    error_code: str | None
    error_message: str | None
    document_key: str | None
    document_sha256: str | None
    language: str | None
    language_probability: float | None
    duration_s: float | None
    speech_s: float | None
    segment_count: int | None
    word_count: int | None
    dropped_count: int | None
    provenance: Provenance | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None


@dataclass(frozen=True)
class MediaRow:
    """One source of speech and what is known of it."""

    source: MediaSource
    info: MediaInfo
    audio: StoredAudio | None
    created_at: datetime
    updated_at: datetime

    @property
    def title(self) -> str | None:
        """The source's own, else the one known beforehand."""
        return self.info.title or self.source.title

    @property
    def name(self) -> str:
        """What a person calls it: its title, or for want of one its id."""
        return self.title or self.source.media_id


@dataclass(frozen=True)
class MediaVersions:
    """One media and its transcriptions, as far as somebody may see them.

    Attributes:
        number: of them, in whatever status.
        completed: of these.
        latest: the one that was completed last; None: none is.
    """

    media: MediaRow
    number: int
    completed: int
    latest: TranscriptionRow | None


@dataclass(frozen=True)
class Callback:
    """Where an asker is told of the end.

    Attributes:
        include: `result`: the text, too, where it is short.
    """

    url: str
    include: Literal["result"] | None = None


@dataclass(frozen=True)
class TranscriptionRequest:
    """What somebody asks for.

    Attributes:
        force: download and transcribe anew. An upload's audio stays, since nobody can fetch it.
        metadata: the asker's own JSON, kept with the request.
        keep: no age takes it away, nor its audio.
    """

    source: MediaSource
    options: TranscriptionOptions
    priority: Priority = "interactive"
    force: bool = False
    metadata: Mapping[str, Any] | None = None
    callback: Callback | None = None
    keep: bool = False

    @cached_property
    def id(self) -> str:
        """Of the transcription."""
        return partition_key(self.source.media_id, self.options)


@dataclass(frozen=True)
class Submission:
    """What a request came to.

    Attributes:
        created: nobody had asked for this transcription before.
        queued: this request put it into the queue: it is new, or is done anew.
        repeated: its Idempotency-Key was answered before, and this is that answer.
    """

    request_id: UUID
    transcription: TranscriptionRow
    created: bool
    queued: bool
    repeated: bool = False


@dataclass(frozen=True)
class Refusal:
    """One of many requests that came to nothing.

    Attributes:
        code, message: of a YtcaptionError.
        errors: what is wrong, field by field, where that is why.
    """

    code: str
    message: str
    errors: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def of(cls, error: YtcaptionError) -> "Refusal":
        """What an error says."""
        return cls(error.code, error.message)


@dataclass(frozen=True)
class DueTranscription:
    """One that a run can be started for.

    Attributes:
        traceparent: W3C trace context of the request that queued it.
        turn: among its owner's, from 1.
    """

    id: str
    attempt: int
    priority: Priority
    media_id: str
    traceparent: str | None = None
    turn: int = 1

    @property
    def run_key(self) -> str:
        """Of the run of this attempt: Dagster starts at most one run per key."""
        return run_key(self.id, self.attempt)


@dataclass(frozen=True)
class LostRun:
    """A run that went silent, and the transcription it left."""

    id: str
    run_id: str


@dataclass(frozen=True)
class EventRow:
    """Something that happened. `data` holds ids, codes and numbers.

    Attributes:
        trace_id: of W3C trace context; None where none was at work.
    """

    event_id: UUID
    event_type: str
    timestamp: datetime
    schema_version: int
    transcription_id: str
    media_id: str
    run_id: str | None
    trace_id: str | None
    data: dict[str, Any]


_AUDIO_COLUMNS = (
    "key",
    "sha256",
    "size_bytes",
    "duration_s",
    "codec",
    "container",
    "sample_rate_hz",
    "channels",
)


MEDIA_COLUMNS = (
    "id", "kind", "url", "extractor", "title", "info", "audio_key", "audio_sha256",
    "audio_size_bytes", "audio_duration_s", "audio_codec", "audio_container",
    "audio_sample_rate_hz", "audio_channels", "created_at", "updated_at",
)  # fmt: skip
"""What `media_row` reads."""


def transcription_row(row: Mapping[str, Any]) -> TranscriptionRow:
    """From `select *` of `ytcaption.transcription`."""
    values = {name: row[name] for name in TranscriptionRow.__dataclass_fields__ if name in row}
    provenance = row["provenance"]
    return TranscriptionRow(
        **values
        | {
            "options": TranscriptionOptions(**row["options"]),
            "status": TranscriptionStatus(row["status"]),
            "try_number": row["attempt"] - row["series_start"] + 1,
            "provenance": Provenance(**provenance) if provenance else None,
        }
    )


def media_row(row: Mapping[str, Any]) -> MediaRow:
    """From `select *` of `ytcaption.media`."""
    audio = None
    if row["audio_key"] is not None:
        audio = StoredAudio(**{name: row[f"audio_{name}"] for name in _AUDIO_COLUMNS})
    return MediaRow(
        source=MediaSource(row["id"], row["kind"], row["url"], row["extractor"], row["title"]),
        info=MediaInfo.from_dict(row["info"]),
        audio=audio,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


LISTED = 1_000
"""Most ids that an answer names."""
