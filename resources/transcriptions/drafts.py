"""Draft segments: written while a run transcribes, for those who watch it."""

import logging
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from resources.postgres.connection import Postgres
from resources.postgres.jsonb import clean
from resources.postgres.notify import PROGRESS_CHANNEL, notify
from resources.transcriptions.state import claimed_row
from ytcaption.domain.errors import ClaimLost, YtcaptionError
from ytcaption.domain.transcripts.transcript import Segment

logger = logging.getLogger(__name__)

BATCH_S = 0.5
"""Minimum interval of writes."""


def add_drafts(postgres: Postgres, id: str, run_id: str, segments: Sequence[Segment]) -> None:
    """Add draft segments of this run's attempt. Segments that exist already are skipped.

    Raises:
        ClaimLost: the transcription is no longer this run's.
    """
    with postgres.transaction() as connection:
        row = claimed_row(connection, id, run_id)
        connection.execute(
            """
            insert into ytcaption.draft_segment
                (transcription_id, attempt, index, start_s, end_s, text)
            select %s, %s, * from unnest(%s::int[], %s::float8[], %s::float8[], %s::text[])
            on conflict do nothing
            """,
            (
                id,
                row["attempt"],
                [segment.index for segment in segments],
                [segment.start_s for segment in segments],
                [segment.end_s for segment in segments],
                [clean(segment.text) for segment in segments],
            ),
        )
        notify(connection, PROGRESS_CHANNEL, id)


class DraftWriter:
    """Writes segments in batches from its own thread, so that the decoder never waits for the
    database. An error does not fail the run: the transcript itself is stored at the end.

    Args:
        write: must be repeatable; it is called again after a YtcaptionError.
        on_lost: called when the run has lost its claim; nothing is written afterwards.
    """

    def __init__(
        self, write: Callable[[Sequence[Segment]], None], on_lost: Callable[[], None]
    ) -> None:
        self._write = write
        self._on_lost = on_lost
        self._waiting: list[Segment] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drafts", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop. Segments not written yet are part of the transcript that is stored next."""
        self._ended.set()
        self._wake.set()
        self._thread.join()

    def add(self, segment: Segment) -> None:
        """Queue a segment for writing; returns at once."""
        with self._lock:
            self._waiting.append(segment)
        self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            if self._ended.is_set():
                return
            self._wake.clear()
            with self._lock:
                batch = list(self._waiting)
            try:
                if batch:
                    self._write(batch)
            except ClaimLost:
                self._on_lost()
                return
            except YtcaptionError as error:
                logger.warning("drafts not written yet: %s", error)
                self._wake.set()
            else:
                with self._lock:
                    del self._waiting[: len(batch)]
            self._ended.wait(BATCH_S)
