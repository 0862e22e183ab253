"""Schemas of API keys, limits and usage."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from resources.auth.api_keys import ApiKeyRow
from ytcaption.domain.caller import Limits, Scope

_RequestsPerMinute = Annotated[
    int, Field(strict=True, ge=1, le=1_000_000, description="Requests a minute.")
]
_Concurrent = Annotated[
    int,
    Field(strict=True, ge=1, le=1_000_000, description="Unfinished transcriptions at a time."),
]
_AudioMinutes = Annotated[
    int, Field(strict=True, ge=1, le=1_000_000, description="Minutes of audio in any 24 hours.")
]


class KeyLimits(BaseModel):
    """The limits of a key; null: the installation's default."""

    model_config = ConfigDict(extra="forbid")

    requests_per_minute: _RequestsPerMinute | None = None
    concurrent_transcriptions: _Concurrent | None = None
    audio_minutes_per_day: _AudioMinutes | None = None

    def to_limits(self) -> Limits:
        """Return the limits as the domain has them."""
        return Limits(**self.model_dump())


class ApiKeyRequest(BaseModel):
    """A key to create."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[
        str,
        Field(min_length=1, max_length=100, description="Who or what it is for."),
    ]
    scopes: Annotated[
        list[Scope], Field(min_length=1, max_length=3, description="What it may do.")
    ] = ["read", "write"]
    expires_in_days: Annotated[
        int | None, Field(strict=True, ge=1, le=36_500, description="Null: it never expires.")
    ] = None
    limits: KeyLimits = KeyLimits()


class ApiKeyResponse(BaseModel):
    """A key without its secret, which is not stored."""

    id: str
    name: str
    prefix: Annotated[str, Field(description="The beginning of the key.")]
    scopes: list[Scope]
    limits: KeyLimits
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: Annotated[datetime | None, Field(description="To the minute.")]

    @classmethod
    def of(cls, row: ApiKeyRow) -> "ApiKeyResponse":
        """Return the schema of a row."""
        return cls(
            id=row.id,
            name=row.name,
            prefix=row.prefix,
            scopes=list(row.scopes),
            limits=KeyLimits(**vars(row.limits)),
            created_at=row.created_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
            last_used_at=row.last_used_at,
        )


class ApiKeyCreatedResponse(ApiKeyResponse):
    """A new key or a new secret."""

    key: Annotated[str, Field(description="To be sent with requests. Shown only this once.")]


class ApiKeyList(BaseModel):
    """All keys, the newest first, including revoked and expired ones."""

    keys: list[ApiKeyResponse]


class RemainingRequests(BaseModel):
    """The requests of the last minute."""

    limit: Annotated[int, Field(description="A minute.")]
    remaining: int
    reset_s: Annotated[int, Field(description="Seconds until some of them are available again.")]


class UsageResponse(BaseModel):
    """What the caller has used, and their limits."""

    owner: Annotated[str, Field(description="`local`, `key:<id>` or `jwt:<issuer>:<subject>`.")]
    scopes: list[Scope]
    requests: Annotated[RemainingRequests | None, Field(description="Null: not counted.")]
    unfinished_transcriptions: Annotated[int, Field(description="Queued and running.")]
    audio_minutes_last_24_h: Annotated[float, Field(description="Transcribed for the caller.")]
    limits: Annotated[KeyLimits, Field(description="In force; null: no limit.")]
