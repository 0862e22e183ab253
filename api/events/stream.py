"""The stream of events of one reader and one transcription."""

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
from api.transcriptions.schemas import WaitReason, progress_of
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
"""Changes within this time are sent together."""


class EventStream:
    """Yields state, progress and text as they change, until the end.

    Events depend on the row and on what the reader has seen, not on the memory of this process: any
    other process can resume the stream.

    Args:
        owner: whose requests count, as `Caller.sees_only` says.
        cursor: what the reader has seen.
        is_authorized: checked every 15 s; False ends the stream.
    """

    def __init__(
        self,
        watcher: Watcher,
        postgres: Postgres,
        id: str,
        owner: str | None,
        links: Links,
        cursor: EventCursor,
        is_authorized: Callable[[], Awaitable[bool]],
    ) -> None:
        self._watcher = watcher
        self._postgres = postgres
        self._id = id
        self._owner = owner
        self._links = links
        self._cursor = cursor
        self._is_authorized = is_authorized
        self._progress: ProgressEvent | None = None
        self._ended = False

    async def has_seen_all(self) -> bool:
        """Return whether the reader has received the end and nothing has happened since."""
        snapshot = await self._read()
        return (
            snapshot is not None
            and snapshot.row.status.is_final
            and not snapshot.segments
            and self._cursor.last_state == digest(_end(snapshot.row, self._links).model_dump_json())
        )

    async def events(self) -> AsyncGenerator[ServerSentEvent]:
        """Yield the events, each with the id from which to resume after it."""
        yield ServerSentEvent(retry=RETRY_MS, sep="\n")
        async with self._watcher.changes(self._id) as changes:
            check_at = time.monotonic() + CHECK_EVERY_S
            while True:
                try:
                    snapshot = await self._read()
                except DatabaseUnavailable as error:
                    logger.info("event stream waits for the database: %s", error)
                except YtcaptionError as error:
                    logger.error("event stream ends: %s", error)
                    return
                else:
                    if snapshot is None:
                        return  # erased, or withdrawn
                    for event in self._changes(snapshot):
                        yield event
                    if self._ended:
                        return
                    if not snapshot.has_all:
                        continue
                left_s = check_at - time.monotonic()
                if left_s > 0 and await changes.next(left_s):
                    await asyncio.sleep(GATHER_S)
                    continue
                if self._watcher.closing or not await self._is_authorized():
                    return
                check_at = time.monotonic() + CHECK_EVERY_S

    async def _read(self) -> LiveState | None:
        cursor = self._cursor
        return await self._watcher.query(
            partial(
                read_live_state, self._postgres, self._id, self._owner, cursor.attempt, cursor.seen
            )
        )

    def _changes(self, snapshot: LiveState) -> Iterator[ServerSentEvent]:
        row = snapshot.row
        state = StateEvent(
            status=row.status,
            stage=row.stage,
            attempt=row.try_number,
            error=failure_of(row),
            waiting_for=WaitReason.of(snapshot.waiting_for),
        )
        yield from self._if_new("state", state)
        if snapshot.attempt != self._cursor.attempt:
            void = self._cursor.seen > 0
            self._cursor = replace(self._cursor, attempt=snapshot.attempt, seen=0)
            if void:
                yield self._event("reset", ResetEvent(attempt=row.try_number))
        progress = _progress(row)
        if progress is not None and progress != self._progress:
            self._progress = progress
            yield self._event("progress", progress)
        for segment in snapshot.segments:
            self._cursor = replace(self._cursor, seen=segment.index + 1)
            yield self._event("segment", SegmentEvent(**asdict(segment)))
        if row.status.is_final and snapshot.has_all:
            yield from self._if_new(row.status.value, _end(row, self._links))
            self._ended = True

    def _if_new(self, name: str, content: BaseModel) -> Iterator[ServerSentEvent]:
        state = digest(content.model_dump_json())
        if state != self._cursor.last_state:
            self._cursor = replace(self._cursor, last_state=state)
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
    progress = progress_of(row.stage, row.progress_done, row.progress_total, eta_s)
    return None if progress is None else ProgressEvent(**progress.model_dump())


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
