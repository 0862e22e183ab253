"""Keys and limits, as they are asked for and come back."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from resources.auth.api_keys import ApiKeyRow
from ytcaption.domain.caller import Limits, Scope

_RequestsPerMinute = Annotated[
    int, Field(strict=True, ge=1, le=1_000_000, description="Requests a minute.")
]
_Concurrent = Annotated[
    int, Field(strict=True, ge=1, le=1_000_000, description="Unfinished transcriptions at a time.")
]
_AudioMinutes = Annotated[
    int, Field(strict=True, ge=1, le=1_000_000, description="Minutes of audio in any 24 hours.")
]


class KeyLimits(BaseModel):
    """What a key may take; null, each: as the installation's settings say."""

    model_config = ConfigDict(extra="forbid")

    requests_per_minute: _RequestsPerMinute | None = None
    concurrent_transcriptions: _Concurrent | None = None
    audio_minutes_per_day: _AudioMinutes | None = None

    def to_limits(self) -> Limits:
        """As the domain has them."""
        return Limits(**self.model_dump())


class ApiKeyCreate(BaseModel):
    """A key that is to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[
        str,
        Field(min_length=1, max_length=100, description="For people: who or what it is for."),
    ]
    scopes: Annotated[
        list[Scope], Field(min_length=1, max_length=3, description="What it may do.")
    ] = ["read", "write"]
    expires_in_days: Annotated[
        int | None, Field(strict=True, ge=1, le=36_500, description="From now on; null: never.")
    ] = None
    limits: KeyLimits = KeyLimits()


class ApiKeyRead(BaseModel):
    """A key without its secret, which is kept nowhere."""

    id: str
    name: str
    prefix: Annotated[str, Field(description="How the key begins.")]
    scopes: list[Scope]
    limits: KeyLimits
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: Annotated[datetime | None, Field(description="To the minute.")]

    @classmethod
    def of(cls, row: ApiKeyRow) -> "ApiKeyRead":
        """The row, as far as it is shown."""
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


class ApiKeyCreated(ApiKeyRead):
    """A key that was just made."""

    key: Annotated[str, Field(description="What its holder sends. It is shown this once.")]


class ApiKeyList(BaseModel):
    """All keys, the newest first, those that have ended too."""

    keys: list[ApiKeyRead]


class RemainingRequests(BaseModel):
    """Requests of the last minute."""

    limit: Annotated[int, Field(description="A minute.")]
    remaining: int
    reset_s: Annotated[int, Field(description="Seconds until some of them are free again.")]


class UsageRead(BaseModel):
    """What the caller has taken, and what they may take."""

    owner: Annotated[str, Field(description="`local`, `key:<id>` or `jwt:<issuer>:<subject>`.")]
    scopes: list[Scope]
    requests: Annotated[RemainingRequests | None, Field(description="Null: they are not counted.")]
    unfinished_transcriptions: Annotated[int, Field(description="Queued and running.")]
    audio_minutes_last_24_h: Annotated[float, Field(description="Transcribed for the caller.")]
    limits: Annotated[KeyLimits, Field(description="In force; null, each: none.")]
