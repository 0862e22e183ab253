"""What operators send and are answered."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from api.http.storable import StorableBody
from api.http.timestamps import Moment
from resources.admin.service import Affected, Overview
from resources.maintenance.purge import Purged
from resources.orchestration.pauses import Part, Pause
from resources.sites.circuit_breaker import Breaker

FinalStatus = Literal["completed", "failed", "canceled"]


class RetryAsked(StorableBody):
    """Which transcriptions; what is left out does not matter."""

    status: Annotated[
        Literal["failed", "canceled"], Field(description="What they are at the moment.")
    ] = "failed"
    code: Annotated[
        str | None,
        Field(
            max_length=60, description="Of the error they failed with.", examples=["source_blocked"]
        ),
    ] = None
    channel: Annotated[
        str | None, Field(max_length=200, description="Its name or id, as the source states it.")
    ] = None
    created_after: Annotated[Moment | None, Field(description="First asked for then or later.")] = (
        None
    )
    created_before: Annotated[Moment | None, Field(description="First asked for before.")] = None


class PauseAsked(StorableBody):
    """What is to stop."""

    part: Annotated[
        Part,
        Field(
            description="`intake`: requests are answered 503. `download`, `transcription`: no run "
            "begins that asset; those that have begun go on."
        ),
    ]
    reason: Annotated[str, Field(max_length=500, description="For other operators.")] = ""


class ResumeAsked(StorableBody):
    """What is to go on."""

    part: Part


class PurgeAsked(StorableBody):
    """Which transcriptions at rest are to be erased: by age, by status, or both."""

    older_than_days: Annotated[
        float | None,
        Field(strict=True, ge=0, le=36_500, description="Since it last changed or was asked for."),
    ] = None
    status: Annotated[FinalStatus | None, Field(description="Left out: any that is at rest.")] = (
        None
    )
    dry_run: Annotated[bool, Field(description="Only tell which they are.")] = True

    @model_validator(mode="after")
    def _is_limited(self) -> Self:
        if self.older_than_days is None and self.status is None:
            raise ValueError("give older_than_days, status or both: all would be erased")
        return self


class BreakerAsked(StorableBody):
    """A site that downloads come from."""

    site: Annotated[
        str,
        Field(
            max_length=300,
            description="Its name as listed, a host or a URL: `youtube.com`, `youtu.be`.",
        ),
    ]


class BreakerOpenAsked(BreakerAsked):
    """A site from which nothing is to be downloaded."""

    reason: Annotated[str, Field(max_length=500, description="For other operators.")] = ""


class BreakerRead(BaseModel):
    """A site that has failed since its last success, or that an operator has closed off."""

    site: str
    state: Annotated[
        Literal["closed", "open", "probing"],
        Field(description="`closed`: downloads start. `probing`: one of them tries."),
    ]
    failures: Annotated[int, Field(description="In a row.")]
    code: Annotated[str | None, Field(description="Of the last failure.")]
    opened_at: datetime | None
    probe_at: Annotated[
        datetime | None,
        Field(description="When one may try, while it is open; null: an operator closes it."),
    ]
    reason: str
    opened_by: Annotated[
        str | None, Field(description="`local`, `key:<id>` or `jwt:<issuer>:<subject>`.")
    ]
    waiting: Annotated[int, Field(description="Queued transcriptions that need this site.")]

    @classmethod
    def of(cls, breaker: Breaker) -> Self:
        """From the row."""
        return cls(
            **{name: getattr(breaker, name) for name in cls.model_fields},
        )


class BreakersRead(BaseModel):
    """All such sites, the open ones first. Where all is well there is none."""

    breakers: list[BreakerRead]


class PauseRead(BaseModel):
    """One part that is stopped."""

    part: Part
    reason: str
    paused_by: Annotated[str, Field(description="`local`, `key:<id>` or `jwt:<issuer>:<subject>`.")]
    paused_at: datetime

    @classmethod
    def of(cls, pause: Pause) -> Self:
        """From the row."""
        return cls(**pause.__dict__)


class PausesRead(BaseModel):
    """What is stopped now."""

    paused: list[PauseRead]
    applied: Annotated[
        bool,
        Field(
            description="Whether Dagster's pools keep to it already. If not, its storage does not "
            "answer, and the sensor sees to it once it does."
        ),
    ]


class AffectedRead(BaseModel):
    """How many transcriptions, and which."""

    number: int
    ids: Annotated[list[str], Field(description="The first 1,000 of them.")]

    @classmethod
    def of(cls, affected: Affected) -> Self:
        """From what was done."""
        return cls(number=affected.number, ids=list(affected.ids))


class PurgeRead(BaseModel):
    """What was erased, or would be."""

    dry_run: bool
    number: Annotated[int, Field(description="How many fitted.")]
    ids: Annotated[list[str], Field(description="The first 1,000 of them.")]
    erased: Annotated[
        int,
        Field(
            description="Of them. Less than `number` where the time for one answer was up: send it "
            "again."
        ),
    ]

    @classmethod
    def of(cls, purged: Purged, *, dry_run: bool) -> Self:
        """From what was done."""
        return cls(
            dry_run=dry_run, number=purged.number, ids=list(purged.ids), erased=purged.erased
        )


class RunningRead(BaseModel):
    """One that a run works on. The title is the source's own: escape it."""

    id: str
    title: str | None
    stage: str | None
    progress_done: float | None
    progress_total: float | None
    attempt: int
    run_id: str
    age_s: Annotated[float, Field(description="Since this attempt began.")]
    silent_s: Annotated[
        float, Field(description="Since its run last gave a sign of life; 60 is the most.")
    ]


class FailureRead(BaseModel):
    """Failed transcriptions of one error code."""

    code: str | None
    number: int
    last_at: datetime
    last_message: str | None


class RestingRead(BaseModel):
    """A site that bulk work leaves alone for now."""

    site: str
    code: Literal["quiet_hours", "bytes_a_day", "pause"]
    message: str
    until: Annotated[
        datetime | None,
        Field(description="None: until the download that is under way has ended."),
    ]
    waiting: Annotated[int, Field(description="Bulk transcriptions that wait for it.")]


class OverviewRead(BaseModel):
    """Everything at a glance."""

    counts: dict[str, int]
    oldest_waiting_s: Annotated[float | None, Field(description="None with an empty queue.")]
    running: Annotated[list[RunningRead], Field(description="The longest first, 100 at most.")]
    failures: Annotated[list[FailureRead], Field(description="By code, the latest first.")]
    pauses: list[PauseRead]
    breakers: Annotated[list[BreakerRead], Field(description="Sites that fail.")]
    resting: Annotated[
        list[RestingRead], Field(description="Sites that bulk work leaves alone for now.")
    ]
    media_count: int
    audio_bytes: Annotated[int, Field(description="Of all stored audio.")]
    disk_free_bytes: int
    disk_total_bytes: int

    @classmethod
    def of(cls, seen: Overview) -> Self:
        """From the reading."""
        return cls(
            **seen.__dict__
            | {
                "running": [RunningRead(**each.__dict__) for each in seen.running],
                "failures": [FailureRead(**each.__dict__) for each in seen.failures],
                "pauses": [PauseRead.of(each) for each in seen.pauses],
                "breakers": [BreakerRead.of(each) for each in seen.breakers],
                "resting": [RestingRead(**each.__dict__) for each in seen.throttled],
            }
        )
