"""All API keys in memory, a few seconds old at most, so that no request waits for a query."""

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from resources.auth.api_keys import ApiKeyRow, ApiKeys, parse_token, secret_sha256
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import Unauthenticated, YtcaptionError

logger = logging.getLogger(__name__)

FRESH_S = 5.0
"""Older keys are read again beside the requests, which do not wait."""

STALE_S = 10.0
"""For older ones a request waits. So a key that is revoked elsewhere is dead by then."""

LOST_S = 50.0
"""With the database away the last known ones hold on until here: a revoked key dies in 60 s."""

NEWER_THAN_S = 1.0
"""A key that is not known is looked for again, at most this often."""

USED_EVERY_S = 60.0

_NO_SECRET = "0" * 64

Result = TypeVar("Result")


class KeyRing:
    """The keys of one process; used on its event loop only."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys
        self._rows: dict[str, ApiKeyRow] = {}
        self._read_at = float("-inf")
        self._reading: asyncio.Task[YtcaptionError | None] | None = None
        self._used_at: dict[str, float] = {}
        self._writing: set[asyncio.Task[None]] = set()

    @property
    def known_to_exist(self) -> bool:
        """Whether there were keys when they were last read; asks nobody."""
        return bool(self._rows)

    async def exist(self) -> bool:
        """Whether any key was ever made.

        Raises:
            DatabaseUnavailable: that cannot be known.
        """
        await self._look(STALE_S)
        return bool(self._rows)

    async def caller(self, token: str) -> Caller:
        """Whose key it is.

        Raises:
            Unauthenticated: no key of ours, or one that has ended.
            DatabaseUnavailable: that cannot be known.
        """
        parsed = parse_token(token)
        if parsed is None:
            raise Unauthenticated("This is no key of this installation.")
        id, secret = parsed
        await self._look(STALE_S if id in self._rows else NEWER_THAN_S)
        row = self._rows.get(id)
        expected = row.secret_sha256 if row else _NO_SECRET
        if not hmac.compare_digest(secret_sha256(secret), expected) or row is None:
            raise Unauthenticated("This is no key of this installation.")
        if not row.is_valid_at(datetime.now(UTC)):
            ended = "was revoked" if row.revoked_at else "has expired"
            raise Unauthenticated(f"The key {row.prefix} {ended}. Ask the operator for another.")
        self._note_use(id)
        return row.caller

    async def start(self) -> None:
        """Reads them, but does not keep the server waiting for a database that is away."""
        self._reading = asyncio.create_task(self._read())
        await asyncio.wait([self._reading], timeout=1.0)

    async def changed_by(self, change: Callable[[], Result]) -> Result:
        """What `change` gives, which makes or ends keys; the next request knows of it."""
        result = await asyncio.to_thread(change)
        await self._look(0.0)
        return result

    async def close(self) -> None:
        """Waits for what is being written."""
        pending = [*self._writing, *([self._reading] if self._reading else [])]
        await asyncio.gather(*pending, return_exceptions=True)

    async def _look(self, oldest_s: float) -> None:
        age_s = time.monotonic() - self._read_at
        if age_s <= min(FRESH_S, oldest_s):
            return
        # One that is on its way may have read before what it must know now was written.
        if self._reading is None or oldest_s == 0.0:
            self._reading = asyncio.create_task(self._read())
        if age_s <= oldest_s:
            return
        error = await asyncio.shield(self._reading)
        if error is not None and age_s > LOST_S:
            raise error

    async def _read(self) -> YtcaptionError | None:
        started_at = time.monotonic()
        try:
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

    def _note_use(self, id: str) -> None:
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
            logger.warning("the use of a key was not written: %s", error)
