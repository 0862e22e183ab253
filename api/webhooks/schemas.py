"""Bodies of requests and responses about webhooks, and the bodies that receivers get."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from api.http.fields import StorableBody
from api.http.pagination import paginate, uuid_cursor
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
        description="https or http, public, port 443 or 80.",
        examples=["https://example.org/hooks/captions"],
    ),
]
_Events = Annotated[
    list[EventType],
    Field(min_length=1, max_length=20, description="Events to receive, of your transcriptions."),
]
_Include = Annotated[
    Literal["result"] | None,
    Field(description="`result`: includes the text if the whole message has at most 20 kB."),
]
_Description = Annotated[str, Field(max_length=200, description="A note for people.")]
_Secret = Annotated[
    str | None,
    Field(
        max_length=200,
        description="`whsec_` and 24 to 64 bytes in base64. Default: generated.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYq="],
    ),
]


class WebhookRequest(StorableBody):
    """A webhook to create."""

    url: _Url
    events: _Events = list(DEFAULT_WEBHOOK_EVENTS)  # noqa: RUF012 - pydantic copies it
    include: _Include = None
    description: _Description = ""
    secret: _Secret = None


class WebhookUpdate(StorableBody):
    """Changes to a webhook: a field that is left out stays."""

    url: _Url | None = None
    events: _Events | None = None
    include: _Include = None
    description: _Description | None = None
    enabled: Annotated[
        bool | None,
        Field(strict=True, description="False: nothing is sent, and waiting deliveries are dead."),
    ] = None

    @model_validator(mode="after")
    def _has_values(self) -> Self:
        nulls = self.model_fields_set & {"url", "events", "description", "enabled"}
        if any(getattr(self, name) is None for name in nulls):
            raise ValueError("only include may be null; leave out the fields that stay")
        return self

    def changes(self) -> dict[str, object]:
        """Return the fields that were given, as `Webhooks.change` takes them."""
        fields = self.model_dump(exclude_unset=True)
        if "events" in fields:
            fields["event_types"] = fields.pop("events")
        return fields


class SecretRequest(StorableBody):
    """The new secret."""

    secret: _Secret = None


class WebhookResponse(BaseModel):
    """A webhook without its secret."""

    id: UUID
    owner: Annotated[str, Field(description="`local`, `key:<id>` or `jwt:<issuer>:<subject>`.")]
    url: Annotated[str | None, Field(description="Null for callbacks: each request has its own.")]
    description: str
    events: list[EventType]
    include: _Include
    enabled: bool
    disabled_reason: Annotated[
        Literal["owner", "gone", "revoked"] | None,
        Field(
            description="`gone`: the receiver answered 410; `revoked`: its key was revoked or has "
            "expired."
        ),
    ]
    disabled_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, webhook: Webhook) -> Self:
        """Return the schema of a row."""
        return cls.model_validate(
            webhook.__dict__
            | {"events": webhook.event_types, "enabled": webhook.disabled_at is None}
        )


class WebhookCreatedResponse(WebhookResponse):
    """A webhook that was just created."""

    secret: Annotated[str, Field(description="Verifies deliveries; `.../secret` returns it again.")]


class WebhookList(BaseModel):
    """Webhooks, the oldest first."""

    webhooks: list[WebhookResponse]


class SecretResponse(BaseModel):
    """The secrets that sign deliveries."""

    secret: Annotated[str, Field(description="For a library of Standard Webhooks.")]
    earlier: Annotated[
        list[str], Field(description="Previous secrets, which also sign until 24 h have passed.")
    ]

    @classmethod
    def of(cls, secrets: Secrets) -> Self:
        """Return the schema of the stored secrets."""
        return cls(secret=secrets.secret, earlier=list(secrets.earlier))


class DeliveryAttempt(BaseModel):
    """One attempt of a delivery."""

    number: int
    at: datetime
    took_s: float
    outcome: Annotated[str, Field(description="`delivered`, or the reason: see the documentation.")]
    status_code: int | None
    answer: Annotated[
        str, Field(description="First 4 KiB of the response body. Untrusted: escape it.")
    ]


class DeliveryResponse(BaseModel):
    """The delivery of one event to one receiver."""

    id: UUID
    webhook_id: UUID
    owner: str
    url: str
    event_id: Annotated[UUID, Field(description="The `webhook-id`, equal for every attempt.")]
    event: str
    transcription_id: str | None
    status: Annotated[Status, Field(description="`dead`: not retried automatically any more.")]
    attempt: Annotated[int, Field(description="Number of attempts so far.")]
    last_outcome: str | None
    next_attempt_at: Annotated[datetime | None, Field(description="Set while it waits.")]
    created_at: datetime
    settled_at: datetime | None
    attempts: Annotated[list[DeliveryAttempt], Field(description="The last ten, latest first.")]

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """Return the schema of a delivery."""
        return cls.model_validate(
            delivery.__dict__
            | {
                "event": delivery.event_type,
                "attempts": [each.__dict__ for each in delivery.attempts],
            }
        )


class DeliveryPage(BaseModel):
    """One page of deliveries, the latest first."""

    items: list[DeliveryResponse]
    next_cursor: Annotated[str | None, Field(description="Null on the last page.")]

    @classmethod
    def of(cls, deliveries: list[Delivery], limit: int) -> Self:
        """Return a page.

        Args:
            deliveries: one more than `limit` where there is a next page.
        """
        page = paginate(deliveries, limit, lambda delivery: uuid_cursor(delivery.id))
        return cls(
            items=[DeliveryResponse.of(each) for each in page.items],
            next_cursor=page.next_cursor,
        )


class ReplayRequest(StorableBody):
    """Which dead letters to send again; a field that is left out matches all."""

    webhook_id: UUID | None = None
    owner: Annotated[str | None, Field(max_length=400)] = None
    outcome: Annotated[str | None, Field(max_length=60, examples=["server_error"])] = None


class ReplayResponse(BaseModel):
    """How many deliveries are sent again."""

    number: int


class EventFailure(BaseModel):
    """Why a transcription failed; the message is at `status_url`."""

    code: str


class EventResult(BaseModel):
    """The text of a transcription."""

    language: str | None
    duration_s: float | None
    text: Annotated[str, Field(description="One segment per line.")]


class EventData(BaseModel):
    """The subject of an event."""

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
        Field(description="With `include`, once completed. Null if the text is too long."),
    ] = None


class EventMessage(BaseModel):
    """The body of a delivery."""

    type: EventType
    timestamp: Annotated[datetime, Field(description="When it happened.")]
    data: EventData
