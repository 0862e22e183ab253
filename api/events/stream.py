"""One reader's stream of events of one transcription."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import asdict, replace
from functools import partial

from pydantic import BaseModel
from sse_starlette import ServerSentEvent

from api.events.cursor import EventCursor, digest
from api.events.schemas import EndEvent, ProgressEvent, ResetEvent, SegmentEvent, StateEvent
from api.transcriptions.schemas import WaitingRead, progress_of
from api.transcriptions.view import Links, eta_of, failure_of
from api.transcriptions.watch import Watcher
from resources.postgres.connection import Postgres
from resources.transcriptions.live_text import LiveState, read_live_state
from resources.transcriptions.rows import TranscriptionRow
from ytcaption.domain.errors import DatabaseUnavailable, YtcaptionError
from ytcaption.domain.request import TranscriptionStatus

logger = logging.getLogger(__name__)

RETRY_MS = 2_000
CHECK_EVERY_S = 15.0

GATHER_S = 0.05
"""What changes together is told together."""


class EventStream:
    """State, progress and text as they change, until the end.

    What is sent follows from the row and from what the reader has seen, and from nothing that this
    process remembers: any other can go on with it.

    Args:
        owner: who must have asked for it, as `Caller.sees_only` says.
        cursor: what the reader has seen.
        may_go_on: asked every 15 s; False ends the stream (rule 19).
    """

    def __init__(
        self,
        watcher: Watcher,
        postgres: Postgres,
        id: str,
        owner: str | None,
        links: Links,
        cursor: EventCursor,
        may_go_on: Callable[[], Awaitable[bool]],
    ) -> None:
        self._watcher = watcher
        self._postgres = postgres
        self._id = id
        self._owner = owner
        self._links = links
        self._cursor = cursor
        self._may_go_on = may_go_on
        self._progress: ProgressEvent | None = None
        self._ended = False

    async def has_seen_all(self) -> bool:
        """Whether the reader was told the end already and nothing has happened since."""
        found = await self._look()
        return (
            found is not None
            and found.row.status.is_final
            and not found.segments
            and self._cursor.news == digest(_end(found.row, self._links).model_dump_json())
        )

    async def events(self) -> AsyncGenerator[ServerSentEvent]:
        """The events, with the id from which to resume behind each."""
        yield ServerSentEvent(retry=RETRY_MS, sep="\n")
        async with self._watcher.changes(self._id) as changes:
            check_at = time.monotonic() + CHECK_EVERY_S
            while True:
                try:
                    found = await self._look()
                except DatabaseUnavailable as error:
                    logger.info("events wait: %s", error)
                except YtcaptionError as error:
                    logger.error("events end: %s", error)
                    return
                else:
                    if found is None:
                        return  # erased, or withdrawn
                    for event in self._news(found):
                        yield event
                    if self._ended:
                        return
                    if not found.has_all:
                        continue
                left_s = check_at - time.monotonic()
                if left_s > 0 and await changes.next(left_s):
                    await asyncio.sleep(GATHER_S)
                    continue
                if self._watcher.closing or not await self._may_go_on():
                    return
                check_at = time.monotonic() + CHECK_EVERY_S

    async def _look(self) -> LiveState | None:
        cursor = self._cursor
        return await self._watcher.look(
            partial(
                read_live_state, self._postgres, self._id, self._owner, cursor.attempt, cursor.seen
            )
        )

    def _news(self, found: LiveState) -> Iterator[ServerSentEvent]:
        row = found.row
        state = StateEvent(
            status=row.status,
            stage=row.stage,
            attempt=row.try_number,
            error=failure_of(row),
            waiting_for=WaitingRead.of(found.waiting_for),
        )
        yield from self._once("state", state)
        if found.attempt != self._cursor.attempt:
            void = self._cursor.seen > 0
            self._cursor = replace(self._cursor, attempt=found.attempt, seen=0)
            if void:
                yield self._event("reset", ResetEvent(attempt=row.try_number))
        progress = _progress(row)
        if progress is not None and progress != self._progress:
            self._progress = progress
            yield self._event("progress", progress)
        for segment in found.segments:
            self._cursor = replace(self._cursor, seen=segment.index + 1)
            yield self._event("segment", SegmentEvent(**asdict(segment)))
        if row.status.is_final and found.has_all:
            yield from self._once(row.status.value, _end(row, self._links))
            self._ended = True

    def _once(self, name: str, content: BaseModel) -> Iterator[ServerSentEvent]:
        news = digest(content.model_dump_json())
        if news != self._cursor.news:
            self._cursor = replace(self._cursor, news=news)
            yield self._event(name, content)

    def _event(self, name: str, content: BaseModel) -> ServerSentEvent:
        return ServerSentEvent(
            content.model_dump_json(),
            event=name,
            id=self._cursor.event_id(self._id),
            sep="\n",
        )


def _progress(row: TranscriptionRow) -> ProgressEvent | None:
    if row.status is not TranscriptionStatus.RUNNING:
        return None
    eta_s = eta_of(row, row.updated_at)
    found = progress_of(row.stage, row.progress_done, row.progress_total, eta_s)
    return None if found is None else ProgressEvent(**found.model_dump())


def _end(row: TranscriptionRow, links: Links) -> EndEvent:
    completed = row.status is TranscriptionStatus.COMPLETED
    failed = row.status is TranscriptionStatus.FAILED
    return EndEvent(
        id=row.id,
        status=row.status,
        status_url=links.status_url,
        result_url=links.result_url if completed else None,
        error=failure_of(row) if failed else None,
    )
