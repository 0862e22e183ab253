"""Responses about transcriptions."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from api.http.fields import old_name
from api.http.schemas import Failure
from resources.sites.wait_reasons import Waiting
from resources.transcriptions.actions import Effect
from resources.transcriptions.rows import MediaRow
from ytcaption.domain.caption_choice import CaptionsPolicy, TrackKind
from ytcaption.domain.request import Priority, Task, TranscriptionStatus

Unit = Literal["bytes", "seconds"]

_UNIT_BY_STAGE: dict[str, Unit] = {"audio_download": "bytes", "transcription": "seconds"}


class AcceptedResponse(BaseModel):
    """A stored request, and where to follow it."""

    id: Annotated[
        str,
        Field(description="Of the transcription: one id per media item and set of options."),
    ]
    request_id: Annotated[UUID, Field(description="Of this request.")]
    status: TranscriptionStatus
    status_url: str
    result_url: str
    events_url: Annotated[str, Field(description="Server-sent events.")]
    created_at: Annotated[datetime, Field(description="When it was first requested.")]


class Progress(BaseModel):
    """Progress of the current stage."""

    done: float
    total: Annotated[float | None, Field(description="Null if it is not known.")]
    unit: Annotated[
        Unit | None,
        Field(description="`bytes` while downloading, `seconds` of audio while transcribing."),
    ]
    fraction: Annotated[float | None, Field(ge=0, le=1, description="`done / total`.")]
    eta_s: Annotated[
        float | None,
        Field(description="Seconds until this stage ends, at its speed so far."),
    ] = None


class WaitReason(BaseModel):
    """Why a queued transcription waits, apart from its position in the queue."""

    code: Annotated[
        str,
        Field(
            description="Stable. `source_paused`: no download starts from its site at the moment; "
            "`source_resting`: bulk downloads from its site are throttled."
        ),
    ]
    message: Annotated[str, Field(description="The reason in words.")]
    until: Annotated[
        datetime | None,
        Field(description="When it may continue; null: when an operator resumes it."),
    ]

    @classmethod
    def of(cls, waiting: Waiting | None) -> "WaitReason | None":
        """Return the reason as a schema."""
        return None if waiting is None else cls(**waiting.__dict__)


class Media(BaseModel):
    """The source, as far as it is known. Its texts are untrusted: escape them."""

    id: str
    kind: Annotated[
        Literal["site", "direct", "upload"],
        Field(description="A page of a supported site, a media file, or an uploaded file."),
    ]
    url: str | None
    title: str | None
    channel: str | None
    channel_id: str | None
    upload_date: Annotated[str | None, Field(description="ISO 8601 date.")]
    duration_s: Annotated[
        float | None, Field(description="As the source states it, else of the stored audio.")
    ]
    language: Annotated[str | None, Field(description="As the source states it.")]
    thumbnail_url: str | None
    webpage_url: str | None

    @classmethod
    def of(cls, media: MediaRow) -> "Media":
        """Return the schema of a row."""
        duration_s = media.info.duration_s
        if duration_s is None and media.audio is not None:
            duration_s = media.audio.duration_s
        return cls(
            id=media.source.media_id,
            kind=media.source.kind,
            url=media.source.url,
            title=media.title,
            channel=media.info.channel,
            channel_id=media.info.channel_id,
            upload_date=media.info.upload_date,
            duration_s=duration_s,
            language=media.info.language,
            thumbnail_url=media.info.thumbnail_url,
            webpage_url=media.info.webpage_url,
        )


class TranscriptionOptions(BaseModel):
    """The options that determine the text."""

    model: str
    language: Annotated[str | None, Field(description="Null: detected.")] = None
    task: Task = "transcribe"
    initial_prompt: str | None = None
    hotwords: str | None = None
    temperature: Annotated[float | None, Field(description="Null: 0, rising if needed.")] = None
    captions: CaptionsPolicy = "prefer"


class CaptionSelection(BaseModel):
    """Which captions of the source were used, and why."""

    reason: Annotated[str, Field(description="Why they were used, or why none were.")]
    kind: Annotated[
        TrackKind | None,
        Field(description="`translated`: by people. Null: the audio was transcribed."),
    ] = None
    track: Annotated[str | None, Field(description="The source's code for it: `en-US`.")] = None
    language: Annotated[str | None, Field(description="Of the captions.")] = None
    spoken_language: Annotated[str | None, Field(description="As the source states it.")] = None


class TranscriptionProvenance(BaseModel):
    """How the text was made."""

    model_config = ConfigDict(protected_namespaces=())

    source: Literal["asr", "manual_captions", "automatic_captions"]
    engine: str
    engine_version: str
    model: str
    model_revision: Annotated[str, Field(description="SHA-256 of the weights.")]
    device: str
    compute_type: str
    audio_sha256: Annotated[
        str, Field(description="Empty for captions, like every field about the model.")
    ]
    created_at: datetime
    captions: Annotated[
        CaptionSelection | None, Field(description="Null: captions were not considered.")
    ] = None


class TranscriptionResponse(BaseModel):
    """The status of a transcription."""

    id: str
    status: TranscriptionStatus
    stage: Annotated[
        str | None,
        Field(
            description="`audio_download`, `transcription` or `transcript_parquet`; null before "
            "the first attempt."
        ),
    ]
    progress: Progress | None
    queue_position: Annotated[
        int | None,
        Field(
            description="Among the queued ones, from 1; 1,001 stands for any later position. Null "
            "unless it is queued."
        ),
    ]
    attempt: Annotated[int, Field(description="From 1.")]
    max_attempts: int
    next_attempt_at: Annotated[
        datetime | None, Field(description="Set while it waits for its next attempt.")
    ]
    waiting_for: Annotated[
        WaitReason | None,
        Field(description="Set while it is queued for more than its position in the queue."),
    ]
    error: Annotated[Failure | None, Field(description="Of the last attempt that failed.")]
    priority: Priority
    media: Media
    options: TranscriptionOptions
    language: Annotated[str | None, Field(description="Spoken language; null until it is known.")]
    duration_s: Annotated[float | None, Field(description="Of the audio.")]
    word_count: int | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    metadata: Annotated[
        dict[str, JsonValue], Field(description="Your own, from your latest request.")
    ]
    pinned: Annotated[
        bool, Field(description="You have exempted it and its audio from retention by age.")
    ]
    provenance: Annotated[TranscriptionProvenance | None, Field(description="With `completed`.")]
    status_url: str
    result_url: str
    events_url: str
    audio_url: str

    @old_name
    @property
    def keep(self) -> bool:
        """Old name of `pinned`."""
        return self.pinned


class CancelResponse(TranscriptionResponse):
    """The status of a transcription after a cancel, and what the cancel did."""

    effect: Annotated[
        Effect,
        Field(
            description="`canceled`; `withdrawn`: others requested it, too, so it continues for "
            "them and you no longer see it; `unchanged`: it had ended."
        ),
    ]


class Language(BaseModel):
    """A language that can be requested."""

    code: str
    name: Annotated[str, Field(description="In English.")]


class OptionsResponse(BaseModel):
    """What this installation offers."""

    models: list[str]
    default_model: str
    languages: list[Language]
    formats: list[str]
    default_line_length: int
    default_lines: int


def progress_of(
    stage: str | None, done: float | None, total: float | None, eta_s: float | None = None
) -> Progress | None:
    """Return a row's progress in the unit of its stage; None before it has any."""
    if stage is None or done is None:
        return None
    fraction = min(1.0, max(0.0, done / total)) if total else None
    return Progress(
        done=done, total=total, unit=_UNIT_BY_STAGE.get(stage), fraction=fraction, eta_s=eta_s
    )
