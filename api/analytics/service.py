"""Queries of the lake, a few at a time: each runs in its own process."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from resources.lake.catalog import TranscriptCatalog
from resources.lake.query import QueryResult, QueryStop
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import RateLimited
from ytcaption.settings.settings import Settings

Encoded = TypeVar("Encoded")

WAIT_S = 5.0
"""How long a query waits for a slot; also its `Retry-After`."""


class Analytics:
    """The lake as callers see it: an admin sees everything, others what they have requested."""

    def __init__(self, settings: Settings) -> None:
        self._catalog = TranscriptCatalog.from_settings(settings)
        self._slots = settings.analytics.query_slots
        self._free = threading.BoundedSemaphore(self._slots)
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()

    def view(
        self,
        caller: Caller,
        name: str,
        parameters: Mapping[str, str],
        limit: int | None,
        encode: Callable[[QueryResult], Encoded],
        stop: QueryStop,
    ) -> Encoded:
        """Return the encoded rows of a view. They are encoded in the query's slot.

        Raises:
            ViewNotFound, InvalidOption: as `TranscriptCatalog.view`.
            RateLimited: no slot is free.
            QueryError, LakeUnavailable, DatabaseUnavailable.
        """
        with self._slot(caller):
            return encode(
                self._catalog.view(name, parameters, owner=caller.sees_only, limit=limit, stop=stop)
            )

    def query(
        self,
        caller: Caller,
        sql: str,
        parameters: Mapping[str, Any],
        limit: int | None,
        encode: Callable[[QueryResult], Encoded],
        stop: QueryStop,
    ) -> Encoded:
        """Return the encoded rows of a SELECT. They are encoded in the query's slot.

        Raises:
            RateLimited: no slot is free.
            QueryError, LakeUnavailable, DatabaseUnavailable.
        """
        with self._slot(caller):
            return encode(
                self._catalog.query(
                    sql, parameters=parameters, owner=caller.sees_only, limit=limit, stop=stop
                )
            )

    @contextmanager
    def _slot(self, caller: Caller) -> Iterator[None]:
        """Occupy a slot. If there are several, one caller cannot take all of them."""
        with self._lock:
            if self._running[caller.owner] >= max(1, self._slots - 1):
                raise RateLimited(
                    "Another query of yours is running. Send this one again when it has ended.",
                    WAIT_S,
                )
            self._running[caller.owner] += 1
        try:
            if not self._free.acquire(timeout=WAIT_S):
                raise RateLimited(
                    "Queries of others are running. Send this one again in a few seconds.", WAIT_S
                )
            try:
                yield
            finally:
                self._free.release()
        finally:
            with self._lock:
                self._running[caller.owner] -= 1
                if not self._running[caller.owner]:
                    del self._running[caller.owner]
