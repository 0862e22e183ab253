"""All API keys in memory, a few seconds old at most, so that requests do not wait for a query."""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from resources.auth.api_keys import ApiKeyRow, ApiKeys, parse_token, secret_sha256
from resources.postgres.time_budget import answer_within
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import Unauthenticated, YtcaptionError

logger = logging.getLogger(__name__)

FRESH_S = 5.0
"""Older keys are read again in the background."""

STALE_S = 10.0
"""Requests wait for older keys to be read again: a key revoked elsewhere is refused by then."""

LOST_S = 50.0
"""If the database does not answer, cached keys stay valid this much longer: 60 s in total."""

NEWER_THAN_S = 1.0
"""An unknown key triggers another read, but no more often than this."""

READ_S = 3.0
"""Requests may wait for a read, so that it must end within their time."""

USED_EVERY_S = 60.0

_NO_SECRET = "0" * 64

Result = TypeVar("Result")


class ApiKeyCache:
    """The keys of one process; to be used on its event loop only."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys
        self._rows: dict[str, ApiKeyRow] = {}
        self._read_at = float("-inf")
        self._reading: asyncio.Task[YtcaptionError | None] | None = None
        self._used_at: dict[str, float] = {}
        self._writing: set[asyncio.Task[None]] = set()

    @property
    def known_to_exist(self) -> bool:
        """Whether there were keys at the last read."""
        return bool(self._rows)

    async def exist(self) -> bool:
        """Return whether any key was ever created.

        Raises:
            DatabaseUnavailable: the keys cannot be read.
        """
        await self._refresh(STALE_S)
        return bool(self._rows)

    async def caller(self, token: str) -> Caller:
        """Return the caller that a key belongs to.

        Raises:
            Unauthenticated: the key is unknown, revoked or expired.
            DatabaseUnavailable: the keys cannot be read.
        """
        parsed = parse_token(token)
        if parsed is None:
            raise Unauthenticated("This is not a key of this installation.")
        id, secret = parsed
        await self._refresh(STALE_S if id in self._rows else NEWER_THAN_S)
        row = self._rows.get(id)
        expected = row.secret_sha256 if row else _NO_SECRET
        if not hmac.compare_digest(secret_sha256(secret), expected) or row is None:
            raise Unauthenticated("This is not a key of this installation.")
        if not row.is_valid_at(datetime.now(UTC)):
            ended = "was revoked" if row.revoked_at else "has expired"
            raise Unauthenticated(f"The key {row.prefix} {ended}. Ask the operator for another.")
        self._record_use(id)
        return row.caller

    async def start(self) -> None:
        """Read the keys, but do not delay the start if the database does not answer."""
        self._reading = asyncio.create_task(self._read())
        await asyncio.wait([self._reading], timeout=1.0)

    async def changed_by(self, change: Callable[[], Result]) -> Result:
        """Return the result of `change`, which creates or ends keys; later requests see it."""
        result = await asyncio.to_thread(change)
        await self._refresh(0.0)
        return result

    async def close(self) -> None:
        """Wait for pending writes."""
        pending = [*self._writing, *([self._reading] if self._reading else [])]
        await asyncio.gather(*pending, return_exceptions=True)

    async def _refresh(self, max_age_s: float) -> None:
        """Read the keys again, and wait for it if they are older than `max_age_s`."""
        age_s = time.monotonic() - self._read_at
        if age_s <= min(FRESH_S, max_age_s):
            return
        # With 0.0 a running read does not do: it may have started before the change.
        if self._reading is None or max_age_s == 0.0:
            self._reading = asyncio.create_task(self._read())
        if age_s <= max_age_s:
            return
        error = await asyncio.shield(self._reading)
        if error is not None and age_s > LOST_S:
            raise error

    async def _read(self) -> YtcaptionError | None:
        started_at = time.monotonic()
        try:
            with answer_within(READ_S):
                rows = await asyncio.to_thread(self._keys.all)
        except YtcaptionError as error:
            logger.warning("API keys could not be read: %s", error)
            return error
        finally:
            if self._reading is asyncio.current_task():
                self._reading = None
        if started_at > self._read_at:
            self._rows, self._read_at = {row.id: row for row in rows}, started_at
        return None

    def _record_use(self, id: str) -> None:
        now = time.monotonic()
        if now - self._used_at.get(id, float("-inf")) < USED_EVERY_S:
            return
        self._used_at[id] = now
        task = asyncio.create_task(self._write_use(id))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write_use(self, id: str) -> None:
        try:
            await asyncio.to_thread(self._keys.record_use, [id])
        except YtcaptionError as error:
            logger.warning("the use of a key could not be recorded: %s", error)
