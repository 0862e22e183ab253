"""Rows of transcriptions, media, requests and events as Python objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Literal
from uuid import UUID

from ytcaption.domain.errors import YtcaptionError
from ytcaption.domain.media.media import MediaInfo, MediaSource, StoredAudio
from ytcaption.domain.media.media_url import unsigned
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
    """One transcription.

    Attributes:
        attempt: the current or next attempt, from 1; never reset.
        try_number: the attempt within its series of retries, from 1.
        run_id: the run that works on it, or the last one.
        stage: the asset the run makes, such as `audio_download`.
        stage_started_at: None before the first attempt.
        progress_done: part of `progress_total` that is done, in bytes or seconds of audio.
        document_sha256: hex SHA-256 of the bytes under `document_key`.
        language: of the speech; None if there is none, or it is not known yet.
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
    """One media item as one caller sees it: its source, its description and its stored audio.

    Attributes:
        source: with the title and link that the caller gave.
        info: as the source itself publishes it.
    """

    source: MediaSource
    info: MediaInfo
    audio: StoredAudio | None
    created_at: datetime
    updated_at: datetime

    @property
    def title(self) -> str | None:
        """The source's title, else the one the caller gave. Of a media file the other way round:
        all that its source states is the name of a file."""
        if self.source.kind == "direct":
            return self.source.title or self.info.title
        return self.info.title or self.source.title

    @property
    def name(self) -> str:
        """A name for people: the title, or else the id."""
        return self.title or self.source.media_id


@dataclass(frozen=True)
class MediaVersions:
    """One media item and its transcriptions, as far as the owner may see them.

    Attributes:
        number: of transcriptions in any status.
        completed: number of completed ones.
        latest: the one completed last; None if none is.
    """

    media: MediaRow
    number: int
    completed: int
    latest: TranscriptionRow | None


@dataclass(frozen=True)
class Callback:
    """A URL that is notified when the transcription ends.

    Attributes:
        include: `result` to include the text, if it is short.
    """

    url: str
    include: Literal["result"] | None = None


@dataclass(frozen=True)
class TranscriptionRequest:
    """A request for a transcription.

    Attributes:
        force: download and transcribe again. An upload's audio is kept: it has no other source.
        metadata: JSON of the requester, stored with the request.
        pinned: exempt the transcription and its audio from retention.
        inherits: title and link are those of the owner's earlier requests for the media, not the
            source's.
    """

    source: MediaSource
    options: TranscriptionOptions
    priority: Priority = "interactive"
    force: bool = False
    metadata: Mapping[str, Any] | None = None
    callback: Callback | None = None
    pinned: bool = False
    inherits: bool = False

    @cached_property
    def id(self) -> str:
        """Id of the transcription: media and options that change the text."""
        return partition_key(self.source.media_id, self.options)


@dataclass(frozen=True)
class Submission:
    """The result of a request.

    Attributes:
        created: the transcription did not exist before.
        queued: this request has queued it: it is new, or made again.
        repeated: the answer to an earlier request with the same Idempotency-Key.
    """

    request_id: UUID
    transcription: TranscriptionRow
    created: bool
    queued: bool
    repeated: bool = False


@dataclass(frozen=True)
class Refusal:
    """A refused request, one of many.

    Attributes:
        code, message: of a YtcaptionError.
        errors: what is wrong, by field, if the request was invalid.
    """

    code: str
    message: str
    errors: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def of(cls, error: YtcaptionError) -> "Refusal":
        """Return the refusal for an error."""
        return cls(error.code, error.message)


@dataclass(frozen=True)
class DueTranscription:
    """A transcription that a run can be started for.

    Attributes:
        traceparent: W3C trace context of the request that queued it.
        rank: position among the transcriptions of its owner and priority, from 1.
    """

    id: str
    attempt: int
    priority: Priority
    media_id: str
    traceparent: str | None = None
    rank: int = 1

    @property
    def run_key(self) -> str:
        """Of the run of this attempt: Dagster starts at most one run per key."""
        return run_key(self.id, self.attempt)


@dataclass(frozen=True)
class LostRun:
    """A run that went silent, and the transcription or channel it had claimed."""

    id: str
    run_id: str


@dataclass(frozen=True)
class EventRow:
    """An event. `data` holds ids, codes and numbers only.

    Attributes:
        trace_id: of the W3C trace context; None if there was none.
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


def transcription_row(row: Mapping[str, Any]) -> TranscriptionRow:
    """Return the object for one row of `select * from ytcaption.transcription`."""
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
    """Return the object for one row of `seen_media.media_columns`."""
    audio = None
    if row["audio_key"] is not None:
        audio = StoredAudio(**{name: row[f"audio_{name}"] for name in _AUDIO_COLUMNS})
    info, url = MediaInfo.from_dict(row["info"]), row["url"]
    if row["kind"] == "upload":
        # Earlier versions stored a file's name here, which belongs to the uploader.
        info = replace(info, title=None)
    if row["kind"] == "direct":
        url = row["given_url"] or (url and unsigned(url))
        info = replace(info, webpage_url=url)
    return MediaRow(
        source=MediaSource(row["id"], row["kind"], url, row["extractor"], row["given_title"]),
        info=info,
        audio=audio,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def stored_media_row(row: Mapping[str, Any]) -> MediaRow:
    """Return the object for one row of `select * from ytcaption.media`, with the link of the next
    download and without titles that callers gave."""
    return media_row({**row, "given_title": None, "given_url": row["url"]})


LISTED = 1_000
"""Maximum number of ids listed in an answer."""
