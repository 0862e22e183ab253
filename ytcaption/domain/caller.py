"""Who makes a request, and what they may do."""

from dataclasses import dataclass
from typing import Literal, get_args

from ytcaption.domain.request import short_hash

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

LOCAL_OWNER = "local"
"""Owner of requests on an installation without authentication."""


def owner_code(owner: str) -> str:
    """Return the owner as events name them for ever: a JWT's issuer and subject by their hash."""
    return f"jwt-{short_hash(owner.encode())}" if owner.startswith("jwt:") else owner


@dataclass(frozen=True)
class Limits:
    """The limits of one caller; None: no limit.

    Attributes:
        concurrent_transcriptions: queued and running at the same time.
        audio_minutes_per_day: transcribed in any 24 hours.
    """

    requests_per_minute: int | None = None
    concurrent_transcriptions: int | None = None
    audio_minutes_per_day: int | None = None


@dataclass(frozen=True)
class Caller:
    """The person or program that makes a request.

    Attributes:
        owner: of their requests: `local`, `key:<id>` or `jwt:<issuer>:<subject>`.
        scopes: `read` their own, `write` requests, `admin` everything of everybody.
        key_id: of the API key, if they used one.
    """

    owner: str
    scopes: frozenset[Scope]
    limits: Limits = Limits()
    key_id: str | None = None

    def may(self, scope: Scope) -> bool:
        """Return whether the caller has a scope; `admin` has all of them."""
        return scope in self.scopes or "admin" in self.scopes

    @property
    def sees_only(self) -> str | None:
        """The owner whose transcriptions the caller sees; None: everybody's."""
        return None if "admin" in self.scopes else self.owner


LOCAL = Caller(LOCAL_OWNER, frozenset(SCOPES))
"""Everybody on this machine, as long as no keys exist."""
