"""Who asks, and what they may."""

from dataclasses import dataclass
from typing import Literal, get_args

from ytcaption.domain.request import short_hash

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

LOCAL_OWNER = "local"
"""Of requests on an installation where nobody has to say who they are."""


def owner_code(owner: str) -> str:
    """An owner as events may name them, for ever: a JWT's issuer and subject by their hash."""
    return f"jwt-{short_hash(owner.encode())}" if owner.startswith("jwt:") else owner


@dataclass(frozen=True)
class Limits:
    """What one caller may take; None is any number.

    Attributes:
        concurrent_transcriptions: queued and running at the same time.
        audio_minutes_per_day: transcribed in any 24 hours.
    """

    requests_per_minute: int | None = None
    concurrent_transcriptions: int | None = None
    audio_minutes_per_day: int | None = None


@dataclass(frozen=True)
class Caller:
    """Somebody at the door.

    Attributes:
        owner: whose their requests are: `local`, `key:<id>` or `jwt:<issuer>:<subject>`.
        scopes: `read` their own, `write` requests, `admin` everything of everybody.
        key_id: of the API key, where they came with one.
    """

    owner: str
    scopes: frozenset[Scope]
    limits: Limits = Limits()
    key_id: str | None = None

    def may(self, scope: Scope) -> bool:
        """Whether they have a scope; `admin` has all of them."""
        return scope in self.scopes or "admin" in self.scopes

    @property
    def sees_only(self) -> str | None:
        """The owner whose transcriptions they see; None: everybody's."""
        return None if "admin" in self.scopes else self.owner


LOCAL = Caller(LOCAL_OWNER, frozenset(SCOPES))
"""Everybody on this machine, as long as no keys exist (rule 21)."""
