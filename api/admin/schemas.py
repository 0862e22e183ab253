"""Bodies that operators send and receive."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from api.http.fields import StorableBody, Timestamp, old_name
from resources.admin.service import Affected, Overview
from resources.maintenance.purge import Purged
from resources.orchestration import pauses
from resources.orchestration.pauses import Part
from resources.sites import circuit_breaker

FinalStatus = Literal["completed", "failed", "canceled"]

Channel = Annotated[
    str | None, Field(max_length=200, description="Name or id of the source's channel.")
]
CreatedAfter = Annotated[
    Timestamp | None, Field(description="First requested at this time or later.")
]
CreatedBefore = Annotated[Timestamp | None, Field(description="First requested before this time.")]


class RetryRequest(StorableBody):
    """Which transcriptions to retry; a field that is left out matches all."""

    status: Annotated[Literal["failed", "canceled"], Field(description="Their current status.")] = (
        "failed"
    )
    code: Annotated[
        str | None,
        Field(max_length=60, description="Their error code.", examples=["source_blocked"]),
    ] = None
    channel: Channel = None
    created_after: CreatedAfter = None
    created_before: CreatedBefore = None


class CancelManyRequest(StorableBody):
    """Which unfinished transcriptions to cancel; a field that is left out matches all."""

    status: Annotated[Literal["queued", "running"], Field(description="Their current status.")] = (
        "queued"
    )
    owner: Annotated[
        str | None,
        Field(
            max_length=200,
            description="Who requested them. What others have requested, too, goes on for them.",
            examples=["key:mfrggzdfmztwq2lk"],
        ),
    ] = None
    site: Annotated[
        str | None,
        Field(
            max_length=253,
            description="Site that they are still to be downloaded from.",
            examples=["youtube.com"],
        ),
    ] = None
    channel: Channel = None
    created_after: CreatedAfter = None
    created_before: CreatedBefore = None
    dry_run: Annotated[bool, Field(description="Only list them.")] = True


class PauseRequest(StorableBody):
    """What to pause."""

    part: Annotated[
        Part,
        Field(
            description="`intake`: requests are answered with 503. `download`, `transcription`: no "
            "run starts that asset; running ones continue."
        ),
    ]
    reason: Annotated[str, Field(max_length=500, description="For other operators.")] = ""


class ResumeRequest(StorableBody):
    """What to resume."""

    part: Part


class PurgeRequest(StorableBody):
    """Which finished transcriptions to erase: by age, by status, or both."""

    older_than_days: Annotated[
        float | None,
        Field(
            strict=True,
            ge=0,
            le=36_500,
            description="Days since the last change or request.",
        ),
    ] = None
    status: Annotated[FinalStatus | None, Field(description="Default: any finished one.")] = None
    dry_run: Annotated[bool, Field(description="Only list them.")] = True

    @model_validator(mode="after")
    def _is_limited(self) -> Self:
        if self.older_than_days is None and self.status is None:
            raise ValueError("give older_than_days, status or both: otherwise all would be erased")
        return self


class BreakerRequest(StorableBody):
    """A site that media is downloaded from."""

    site: Annotated[
        str,
        Field(
            max_length=300,
            description="Its name as listed, a host or a URL: `youtube.com`, `youtu.be`.",
        ),
    ]


class BreakerOpenRequest(BreakerRequest):
    """A site from which downloads must stop."""

    reason: Annotated[str, Field(max_length=500, description="For other operators.")] = ""


class Breaker(BaseModel):
    """A site that has failed since its last success, or that an operator has closed."""

    site: str
    state: Annotated[
        Literal["closed", "open", "probing"],
        Field(description="`closed`: downloads start. `probing`: one download tries."),
    ]
    failures: Annotated[int, Field(description="Consecutive failures.")]
    code: Annotated[str | None, Field(description="Error code of the last failure.")]
    opened_at: datetime | None
    probe_at: Annotated[
        datetime | None,
        Field(description="When one download may try; null: when an operator closes it."),
    ]
    reason: str
    opened_by: Annotated[
        str | None, Field(description="`local`, `key:<id>` or `jwt:<issuer>:<subject>`.")
    ]
    waiting: Annotated[int, Field(description="Queued transcriptions that need this site.")]

    @classmethod
    def of(cls, breaker: circuit_breaker.Breaker) -> Self:
        """Return the schema of a row."""
        return cls(
            **{name: getattr(breaker, name) for name in cls.model_fields},
        )


class BreakersResponse(BaseModel):
    """All such sites, the open ones first. Healthy sites are not listed."""

    breakers: list[Breaker]


class Pause(BaseModel):
    """A paused part."""

    part: Part
    reason: str
    paused_by: Annotated[str, Field(description="`local`, `key:<id>` or `jwt:<issuer>:<subject>`.")]
    paused_at: datetime

    @classmethod
    def of(cls, pause: pauses.Pause) -> Self:
        """Return the schema of a row."""
        return cls(**pause.__dict__)


class PausesResponse(BaseModel):
    """What is paused now."""

    paused: list[Pause]
    applied: Annotated[
        bool,
        Field(
            description="Whether Dagster's pools apply it already. If not, Dagster's storage does "
            "not answer, and the sensor applies it once it does."
        ),
    ]


class AffectedResponse(BaseModel):
    """How many transcriptions are affected, and which."""

    number: int
    ids: Annotated[list[str], Field(description="At most 1,000 of them.")]

    @classmethod
    def of(cls, affected: Affected) -> Self:
        """Return the schema of what was done."""
        return cls(number=affected.number, ids=list(affected.ids))


class CancelManyResponse(AffectedResponse):
    """What was canceled, or would be."""

    dry_run: bool


class PurgeResponse(BaseModel):
    """What was erased, or would be."""

    dry_run: bool
    number: Annotated[int, Field(description="How many match.")]
    ids: Annotated[list[str], Field(description="At most 1,000 of them.")]
    erased: Annotated[
        int,
        Field(
            description="How many were erased. Less than `number` if the time limit of one request "
            "was reached: repeat the request."
        ),
    ]

    @classmethod
    def of(cls, purged: Purged, *, dry_run: bool) -> Self:
        """Return the schema of what was done."""
        return cls(
            dry_run=dry_run, number=purged.number, ids=list(purged.ids), erased=purged.erased
        )


class RunningTranscription(BaseModel):
    """A transcription that a run works on. Its title is untrusted: escape it."""

    id: str
    title: str | None
    stage: str | None
    progress_done: float | None
    progress_total: float | None
    attempt: int
    run_id: str
    age_s: Annotated[float, Field(description="Seconds since this attempt started.")]
    silent_s: Annotated[
        float, Field(description="Seconds since its run's last heartbeat; 60 at most.")
    ]


class FailureCount(BaseModel):
    """Failed transcriptions of one error code."""

    code: str | None
    number: int
    last_at: datetime
    last_message: str | None


class ThrottledSite(BaseModel):
    """A site from which bulk downloads are held back at the moment."""

    site: str
    code: Literal["quiet_hours", "bytes_a_day", "pause"]
    message: str
    until: Annotated[
        datetime | None,
        Field(description="Null: until the current download has ended."),
    ]
    waiting: Annotated[int, Field(description="Bulk transcriptions that wait for it.")]


class OverviewResponse(BaseModel):
    """The queue at a glance."""

    counts: dict[str, int]
    oldest_waiting_s: Annotated[float | None, Field(description="Null if the queue is empty.")]
    running: Annotated[
        list[RunningTranscription], Field(description="The longest first, 100 at most.")
    ]
    failures: Annotated[list[FailureCount], Field(description="By code, the latest first.")]
    pauses: list[Pause]
    breakers: Annotated[list[Breaker], Field(description="Sites that fail.")]
    throttled_sites: Annotated[
        list[ThrottledSite],
        Field(description="Sites from which bulk downloads are held back at the moment."),
    ]
    media_count: int
    audio_bytes: Annotated[int, Field(description="Size of all stored audio.")]
    disk_free_bytes: int
    disk_total_bytes: int

    @old_name
    @property
    def resting(self) -> list[ThrottledSite]:
        """Old name of `throttled_sites`."""
        return self.throttled_sites

    @classmethod
    def of(cls, overview: Overview) -> Self:
        """Return the schema of an overview."""
        values = dict(overview.__dict__)
        throttled = values.pop("throttled")
        return cls(
            **values
            | {
                "running": [RunningTranscription(**each.__dict__) for each in overview.running],
                "failures": [FailureCount(**each.__dict__) for each in overview.failures],
                "pauses": [Pause.of(each) for each in overview.pauses],
                "breakers": [Breaker.of(each) for each in overview.breakers],
                "throttled_sites": [ThrottledSite(**each.__dict__) for each in throttled],
            }
        )
