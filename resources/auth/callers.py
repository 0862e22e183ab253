"""Who holds a key or a JWT, for every server that takes them."""

import asyncio

from resources.auth.api_key_cache import ApiKeyCache
from resources.auth.jwt_tokens import JwtTokens
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import Unauthenticated
from ytcaption.domain.media.addresses import is_loopback
from ytcaption.settings.settings import Settings

MAX_TOKEN_CHARS = 8 * 1024
"""Longest key or token; a server refuses longer ones."""


class Callers:
    """Finds the caller of a key or a JWT, on one event loop.

    Args:
        tokens: None if JWTs are not configured.
    """

    def __init__(self, settings: Settings, keys: ApiKeyCache, tokens: JwtTokens | None) -> None:
        self.keys = keys
        self._tokens = tokens
        self._fetching: asyncio.Task[None] | None = None
        self._may_be_open = tokens is None and is_loopback(settings.api.api_host)

    @property
    def seem_open(self) -> bool:
        """`are_open` as far as it is cached; reads nothing."""
        return self._may_be_open and not self.keys.known_to_exist

    async def are_open(self) -> bool:
        """Return whether no key is needed: on loopback, until the first key is created.

        Raises:
            DatabaseUnavailable: whether keys exist cannot be determined.
        """
        return self._may_be_open and not await self.keys.exist()

    async def caller(self, token: str) -> Caller:
        """Return the caller that a key or a JWT belongs to.

        Raises:
            Unauthenticated: it is not valid.
            DatabaseUnavailable: the keys cannot be read.
        """
        if token.startswith("ytc_"):
            return await self.keys.caller(token)
        if self._tokens is None:
            raise Unauthenticated("This is not a key of this installation.")
        await self._fetch_keys_of(self._tokens, token)
        return self._tokens.caller(token)

    async def _fetch_keys_of(self, tokens: JwtTokens, token: str) -> None:
        """Fetch the issuer's keys once for all concurrent requests; only tokens with an unknown
        key wait for it."""
        if self._fetching is None and tokens.needs_fetch(token):
            self._fetching = asyncio.create_task(asyncio.to_thread(tokens.refresh, token))
            self._fetching.add_done_callback(self._fetched)
        if self._fetching is not None and not tokens.has_key_of(token):
            await asyncio.shield(self._fetching)

    def _fetched(self, _: object) -> None:
        self._fetching = None
