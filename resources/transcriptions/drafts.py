"""What a run hears while it decodes, on its way to those who watch."""

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


def add_drafts(postgres: Postgres, id: str, run_id: str, segments: Sequence[Segment]) -> None:
    """What this run's attempt has heard so far goes on; repeats safely.

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
    """Writes segments at most twice a second from a thread of its own: the decoder waits for no
    database, and what cannot be written stops no run. The text itself is stored at the end.

    Args:
        write: repeats safely; what it raises as a YtcaptionError is tried again.
        on_lost: called when the run has lost its claim; nothing is written from then on.
    """

    def __init__(
        self, write: Callable[[Sequence[Segment]], None], on_lost: Callable[[], None]
    ) -> None:
        self._write = write
        self._on_lost = on_lost
        self._waiting: list[Segment] = []
        self._lock = threading.Lock()
        self._heard = threading.Event()
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
        """Nothing is written after this: what still waits is a part of the text that is stored."""
        self._ended.set()
        self._heard.set()
        self._thread.join()

    def add(self, segment: Segment) -> None:
        """Takes a segment, and returns at once."""
        with self._lock:
            self._waiting.append(segment)
        self._heard.set()

    def _run(self) -> None:
        while True:
            self._heard.wait()
            if self._ended.is_set():
                return
            self._heard.clear()
            with self._lock:
                batch = list(self._waiting)
            try:
                if batch:
                    self._write(batch)
            except ClaimLost:
                self._on_lost()
                return
            except YtcaptionError as error:
                logger.warning("drafts wait: %s", error)
                self._heard.set()
            else:
                with self._lock:
                    del self._waiting[: len(batch)]
            self._ended.wait(BATCH_S)
