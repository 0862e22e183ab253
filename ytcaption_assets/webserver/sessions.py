"""Sessions of operators who have signed in on Dagster's page."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from resources.auth.api_key_cache import ApiKeyCache
from resources.auth.api_keys import ApiKeys
from resources.auth.callers import MAX_TOKEN_CHARS, Callers
from resources.auth.jwt_tokens import JwtTokens
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import Forbidden, Unauthenticated
from ytcaption.settings.settings import Settings

SESSION_S = 8 * 3600.0
"""A session ends after a day's work, used or not."""

MAX_SESSIONS = 1_000


@dataclass(frozen=True)
class _Session:
    token: str
    ends_at: float


class Sessions:
    """Who has signed in, in the memory of this process: a restart signs everybody out.

    A session refers to the key or token that it was opened with, which is checked again on each
    request: a key that is revoked, rotated or expired ends its sessions.
    """

    def __init__(
        self,
        settings: Settings,
        keys: ApiKeyCache | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        keys = keys or ApiKeyCache(ApiKeys.from_settings(settings, "api"))
        self._callers = Callers(settings, keys, JwtTokens.from_settings(settings))
        self._clock = clock
        self._sessions: dict[str, _Session] = {}

    async def are_needed(self) -> bool:
        """Return whether a key is needed: as soon as the API needs one.

        Raises:
            DatabaseUnavailable: whether keys exist cannot be determined.
        """
        return not await self._callers.are_open()

    async def open(self, token: str) -> str:
        """Return the secret id of a new session.

        Raises:
            Unauthenticated: this is no valid key or token.
            Forbidden: it has not the scope `admin`.
            DatabaseUnavailable: the keys cannot be read.
        """
        await self._admin(token)
        now = self._clock()
        kept = [(name, each) for name, each in self._sessions.items() if each.ends_at > now]
        self._sessions = dict(kept[-(MAX_SESSIONS - 1) :])
        id = secrets.token_urlsafe(32)
        self._sessions[_hash(id)] = _Session(token, now + SESSION_S)
        return id

    async def admit(self, id: str) -> bool:
        """Return whether a session of this id is open and its key still valid.

        Raises:
            DatabaseUnavailable: the keys cannot be read.
        """
        session = self._sessions.get(_hash(id))
        if session is None:
            return False
        if session.ends_at > self._clock():
            try:
                await self._admin(session.token)
                return True
            except (Unauthenticated, Forbidden):
                pass
        self.close(id)
        return False

    def close(self, id: str) -> None:
        """End a session, if there is one of this id."""
        self._sessions.pop(_hash(id), None)

    async def _admin(self, token: str) -> Caller:
        if len(token) > MAX_TOKEN_CHARS:
            raise Unauthenticated("This is not a key of this installation.")
        caller = await self._callers.caller(token)
        if not caller.may("admin"):
            raise Forbidden("This needs a key with the scope admin.")
        return caller


def _hash(id: str) -> str:
    return hashlib.sha256(id.encode()).hexdigest()
