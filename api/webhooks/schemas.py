"""Webhooks and their deliveries, as they are asked for, shown, and received."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from api.http.storable import StorableBody
from api.transcriptions.request_schemas import MAX_URL_LENGTH
from resources.webhooks.deliveries import Delivery, Status
from resources.webhooks.store import Secrets, Webhook
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.domain.webhook import DEFAULT_WEBHOOK_EVENTS, EventType

_Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL_LENGTH,
        description="https or http, of the public internet, port 443 or 80.",
        examples=["https://example.org/hooks/captions"],
    ),
]
_Events = Annotated[
    list[EventType],
    Field(min_length=1, max_length=20, description="Which are told, of your transcriptions."),
]
_Include = Annotated[
    Literal["result"] | None,
    Field(description="`result`: the text, too, where the whole message has 20 kB at most."),
]
_Description = Annotated[str, Field(max_length=200, description="For people.")]
_Secret = Annotated[
    str | None,
    Field(
        max_length=200,
        description="`whsec_` and 24 to 64 bytes in base64. Left out: made here.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYq="],
    ),
]


class WebhookCreate(StorableBody):
    """A webhook that is to be made."""

    url: _Url
    events: _Events = list(DEFAULT_WEBHOOK_EVENTS)  # noqa: RUF012 - pydantic copies it
    include: _Include = None
    description: _Description = ""
    secret: _Secret = None


class WebhookChange(StorableBody):
    """What is to be different; what is left out stays."""

    url: _Url | None = None
    events: _Events | None = None
    include: _Include = None
    description: _Description | None = None
    enabled: Annotated[
        bool | None,
        Field(strict=True, description="False: nothing is sent, and what waits is dead."),
    ] = None

    @model_validator(mode="after")
    def _has_values(self) -> Self:
        nulls = self.model_fields_set & {"url", "events", "description", "enabled"}
        if any(getattr(self, name) is None for name in nulls):
            raise ValueError("only include may be null; leave out what stays")
        return self

    def changes(self) -> dict[str, object]:
        """As `Webhooks.change` takes them."""
        given = self.model_dump(exclude_unset=True)
        if "events" in given:
            given["event_types"] = given.pop("events")
        return given


class SecretRotate(StorableBody):
    """The secret that is to be in force."""

    secret: _Secret = None


class WebhookRead(BaseModel):
    """A webhook without its secret."""

    id: UUID
    owner: Annotated[str, Field(description="`local`, `key:<id>` or `jwt:<issuer>:<subject>`.")]
    url: Annotated[str | None, Field(description="Null of callbacks: each request has its own.")]
    description: str
    events: list[EventType]
    include: _Include
    enabled: bool
    disabled_reason: Annotated[
        Literal["owner", "gone", "revoked"] | None,
        Field(description="`gone`: the receiver answered 410; `revoked`: its key was."),
    ]
    disabled_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, webhook: Webhook) -> Self:
        """From the row."""
        return cls.model_validate(
            webhook.__dict__
            | {"events": webhook.event_types, "enabled": webhook.disabled_at is None}
        )


class WebhookCreated(WebhookRead):
    """A webhook that was just made."""

    secret: Annotated[str, Field(description="Verifies what comes; `.../secret` shows it again.")]


class WebhookList(BaseModel):
    """Webhooks, the oldest first."""

    webhooks: list[WebhookRead]


class SecretRead(BaseModel):
    """What deliveries are signed with."""

    secret: Annotated[str, Field(description="Give it to a library of Standard Webhooks.")]
    earlier: Annotated[
        list[str], Field(description="They sign, too, until 24 h after they were replaced.")
    ]

    @classmethod
    def of(cls, secrets: Secrets) -> Self:
        """From the store."""
        return cls(secret=secrets.secret, earlier=list(secrets.earlier))


class AttemptRead(BaseModel):
    """One attempt at a delivery."""

    number: int
    at: datetime
    took_s: float
    outcome: Annotated[str, Field(description="`delivered`, or why not: see the documentation.")]
    status_code: int | None
    answer: Annotated[str, Field(description="The first 4 KiB of it. A stranger's: escape it.")]


class DeliveryRead(BaseModel):
    """One event on its way to one receiver."""

    id: UUID
    webhook_id: UUID
    owner: str
    url: str
    event_id: Annotated[UUID, Field(description="The `webhook-id`, the same on every attempt.")]
    event: str
    transcription_id: str | None
    status: Annotated[Status, Field(description="`dead`: nobody tries it again by itself.")]
    attempt: Annotated[int, Field(description="How many were made.")]
    last_outcome: str | None
    next_attempt_at: Annotated[datetime | None, Field(description="While it waits.")]
    created_at: datetime
    settled_at: datetime | None
    attempts: Annotated[list[AttemptRead], Field(description="The last ten, the latest first.")]

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """From the log."""
        return cls.model_validate(
            delivery.__dict__
            | {
                "event": delivery.event_type,
                "attempts": [each.__dict__ for each in delivery.attempts],
            }
        )


class DeliveryPage(BaseModel):
    """Some deliveries, the latest first."""

    items: list[DeliveryRead]
    next_cursor: Annotated[str | None, Field(description="Null on the last page.")]


class ReplayAsked(StorableBody):
    """Which dead letters; what is left out does not matter."""

    webhook_id: UUID | None = None
    owner: Annotated[str | None, Field(max_length=400)] = None
    outcome: Annotated[str | None, Field(max_length=60, examples=["server_error"])] = None


class ReplayRead(BaseModel):
    """What is sent again."""

    number: int


class EventFailure(BaseModel):
    """Why a transcription failed; its message is at `status_url`."""

    code: str


class EventResult(BaseModel):
    """The text."""

    language: str | None
    duration_s: float | None
    text: Annotated[str, Field(description="A segment a line.")]


class EventData(BaseModel):
    """What the event is about."""

    id: Annotated[str, Field(description="Of the transcription.")]
    media_id: str
    status: TranscriptionStatus
    attempt: int | None
    error: EventFailure | None
    request_ids: Annotated[list[UUID], Field(description="Your requests for it, latest first.")]
    status_url: str
    result_url: str
    result: Annotated[
        EventResult | None,
        Field(description="With `include`, once it is completed. Null where it is too long."),
    ] = None


class EventMessage(BaseModel):
    """The body of a delivery."""

    type: EventType
    timestamp: Annotated[datetime, Field(description="When it happened.")]
    data: EventData
