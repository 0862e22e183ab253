"""Questions to the lake, a few at a time: each has a process of its own."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from resources.lake.catalog import TranscriptCatalog
from resources.lake.query import QueryResult, QueryStop
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import RateLimited
from ytcaption.settings import Settings

WAIT_S = 5.0
"""How long a question waits for its turn; Retry-After, too."""


class Analytics:
    """The lake as callers see it: whoever is no admin, what they have asked for (rules 12, 30)."""

    def __init__(self, settings: Settings) -> None:
        self._catalog = TranscriptCatalog.from_settings(settings)
        self._slots = settings.query_slots
        self._free = threading.BoundedSemaphore(self._slots)
        self._asking: Counter[str] = Counter()
        self._changing = threading.Lock()

    def view(
        self,
        caller: Caller,
        name: str,
        given: Mapping[str, str],
        limit: int | None,
        stop: QueryStop,
    ) -> QueryResult:
        """The rows of one view.

        Raises:
            ViewNotFound, InvalidOption: as `TranscriptCatalog.view`.
            RateLimited: others are being answered; ask again.
            QueryError, LakeUnavailable, DatabaseUnavailable.
        """
        with self._turn(caller):
            return self._catalog.view(name, given, owner=caller.sees_only, limit=limit, stop=stop)

    def query(
        self,
        caller: Caller,
        sql: str,
        parameters: Mapping[str, Any],
        limit: int | None,
        stop: QueryStop,
    ) -> QueryResult:
        """The rows of a SELECT of the caller's own.

        Raises:
            RateLimited: others are being answered; ask again.
            QueryError, LakeUnavailable, DatabaseUnavailable.
        """
        with self._turn(caller):
            return self._catalog.query(
                sql, parameters=parameters, owner=caller.sees_only, limit=limit, stop=stop
            )

    @contextmanager
    def _turn(self, caller: Caller) -> Iterator[None]:
        """One caller's questions leave a slot to the others, where there are several."""
        with self._changing:
            if self._asking[caller.owner] >= max(1, self._slots - 1):
                raise RateLimited(
                    "Another question of yours is being answered. Ask again when it is.", WAIT_S
                )
            self._asking[caller.owner] += 1
        try:
            if not self._free.acquire(timeout=WAIT_S):
                raise RateLimited(
                    "Others' questions are being answered. Ask again in some seconds.", WAIT_S
                )
            try:
                yield
            finally:
                self._free.release()
        finally:
            with self._changing:
                self._asking[caller.owner] -= 1
                if not self._asking[caller.owner]:
                    del self._asking[caller.owner]
