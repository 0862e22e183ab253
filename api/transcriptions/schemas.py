"""What comes back."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from api.http.schemas import Failure
from resources.sites.wait_reasons import Waiting
from resources.transcriptions.actions import Effect
from resources.transcriptions.rows import MediaRow
from ytcaption.domain.caption_choice import CaptionsPolicy, TrackKind
from ytcaption.domain.request import Priority, Task, TranscriptionStatus

Unit = Literal["bytes", "seconds"]

_UNIT_BY_STAGE: dict[str, Unit] = {"audio_download": "bytes", "transcription": "seconds"}


class TranscriptionAccepted(BaseModel):
    """The request is kept; where to look for what becomes of it."""

    id: Annotated[
        str,
        Field(description="Of the transcription: the same media and options give the same id."),
    ]
    request_id: Annotated[UUID, Field(description="Of this request for it.")]
    status: TranscriptionStatus
    status_url: str
    result_url: str
    events_url: Annotated[str, Field(description="Server-sent events.")]
    created_at: Annotated[datetime, Field(description="When it was first asked for.")]


class Progress(BaseModel):
    """How far the stage is."""

    done: float
    total: Annotated[float | None, Field(description="Where it is known.")]
    unit: Annotated[
        Unit | None,
        Field(description="`bytes` while downloading, `seconds` of audio while transcribing."),
    ]
    fraction: Annotated[float | None, Field(ge=0, le=1, description="`done / total`.")]
    eta_s: Annotated[
        float | None,
        Field(description="Seconds until this stage ends, at the speed that it had until now."),
    ] = None


class WaitingRead(BaseModel):
    """What a queued transcription waits for, beside its turn."""

    code: Annotated[
        str,
        Field(
            description="Stable. `source_paused`: no download starts from its site at the moment; "
            "`source_resting`: bulk work leaves it alone."
        ),
    ]
    message: Annotated[str, Field(description="Why, for a person.")]
    until: Annotated[
        datetime | None,
        Field(description="When it may go on; null: when an operator says so."),
    ]

    @classmethod
    def of(cls, waiting: Waiting | None) -> "WaitingRead | None":
        """From the reading."""
        return None if waiting is None else cls(**waiting.__dict__)


class MediaRead(BaseModel):
    """The source, as far as it is known. Texts are the source's own: escape them."""

    id: str
    kind: Annotated[
        Literal["site", "direct", "upload"],
        Field(description="A page of a known site, a media file, or a file of one's own."),
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
    def of(cls, media: MediaRow) -> "MediaRead":
        """From its row."""
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


class OptionsRead(BaseModel):
    """The options that make the text."""

    model: str
    language: Annotated[str | None, Field(description="None: detected.")] = None
    task: Task = "transcribe"
    initial_prompt: str | None = None
    hotwords: str | None = None
    temperature: Annotated[float | None, Field(description="None: from 0 on.")] = None
    captions: CaptionsPolicy = "prefer"


class CaptionsRead(BaseModel):
    """What came of looking for captions of the source."""

    reason: Annotated[str, Field(description="Why they are taken, or why not.")]
    kind: Annotated[
        TrackKind | None,
        Field(description="`translated`: by people. Null: the audio was heard."),
    ] = None
    track: Annotated[str | None, Field(description="The source's code for it: `en-US`.")] = None
    language: Annotated[str | None, Field(description="Of the captions.")] = None
    spoken_language: Annotated[str | None, Field(description="As the source tells.")] = None


class ProvenanceRead(BaseModel):
    """How the text came about."""

    model_config = ConfigDict(protected_namespaces=())

    source: Literal["asr", "manual_captions", "automatic_captions"]
    engine: str
    engine_version: str
    model: str
    model_revision: Annotated[str, Field(description="SHA-256 of the weights.")]
    device: str
    compute_type: str
    audio_sha256: Annotated[
        str, Field(description="Of captions it is empty, and so is all that a model has.")
    ]
    created_at: datetime
    captions: Annotated[CaptionsRead | None, Field(description="Null: nobody looked for any.")] = (
        None
    )


class TranscriptionRead(BaseModel):
    """Where a transcription stands."""

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
            description="Among those queued, from 1; behind the first 1,000 it stays 1,001. Null "
            "unless it is queued."
        ),
    ]
    attempt: Annotated[int, Field(description="From 1.")]
    max_attempts: int
    next_attempt_at: Annotated[
        datetime | None, Field(description="Set while it waits to be tried again.")
    ]
    waiting_for: Annotated[
        WaitingRead | None,
        Field(description="Set while it is queued and waits for more than its turn."),
    ]
    error: Annotated[Failure | None, Field(description="Of the last attempt that failed.")]
    priority: Priority
    media: MediaRead
    options: OptionsRead
    language: Annotated[str | None, Field(description="That is spoken; None until it is known.")]
    duration_s: Annotated[float | None, Field(description="Of the audio.")]
    word_count: int | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    metadata: Annotated[
        dict[str, JsonValue], Field(description="Your own, of your latest request for it.")
    ]
    keep: Annotated[bool, Field(description="You keep it, and its audio, whatever their age.")]
    provenance: Annotated[ProvenanceRead | None, Field(description="With `completed`.")]
    status_url: str
    result_url: str
    events_url: str
    audio_url: str


class TranscriptionCanceled(TranscriptionRead):
    """Where a transcription stands after a cancel, and what that did."""

    effect: Annotated[
        Effect,
        Field(
            description="`canceled`; `withdrawn`: others asked for it, too, so it goes on for them "
            "and you no longer see it; `unchanged`: it was at rest."
        ),
    ]


class LanguageRead(BaseModel):
    """A language that can be asked for."""

    code: str
    name: Annotated[str, Field(description="In English.")]


class OptionsOffered(BaseModel):
    """What this installation offers."""

    models: list[str]
    default_model: str
    languages: list[LanguageRead]
    formats: list[str]
    default_line_length: int
    default_lines: int


def progress_of(
    stage: str | None, done: float | None, total: float | None, eta_s: float | None = None
) -> Progress | None:
    """A row's progress in the unit of its stage."""
    if stage is None or done is None:
        return None
    fraction = min(1.0, max(0.0, done / total)) if total else None
    return Progress(
        done=done, total=total, unit=_UNIT_BY_STAGE.get(stage), fraction=fraction, eta_s=eta_s
    )
