"""TranscriptCatalog: the transcripts as tables, in DuckLake."""

import logging
import random
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from resources.lake.connection import LakeConflict
from resources.lake.files import fsync_new_files, latest_snapshot, list_files
from resources.lake.maintenance import (
    Compacted,
    delete_rows,
    forget_files,
    media_of,
    merge_files,
    snapshot_count,
    sweep,
)
from resources.lake.reads import LakeReads
from resources.lake.verify import Document, LakeReport, compare, read_stored
from resources.postgres.advisory_locks import removing
from ytcaption.domain.media.media import MediaInfo, MediaSource
from ytcaption.domain.transcripts.accuracy import CaptionAccuracy
from ytcaption.domain.transcripts.lake_rows import accuracy_rows, lake_rows
from ytcaption.domain.transcripts.lake_schema import OF_A_TRANSCRIPTION
from ytcaption.domain.transcripts.timings import UNKNOWN, Timings
from ytcaption.domain.transcripts.transcript import Transcript

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_TRIES = 5  # the last one alone on the lake, so that others cannot keep a writer from its turn
_FIRST_PAUSE_S = 0.05

_log = logging.getLogger(__name__)


class TranscriptCatalog(LakeReads):
    """The lake: `append`, `delete`, `erase`, `verify`, `query`.

    Its methods raise LakeUnavailable, DatabaseUnavailable, DiskFull and SetupError.
    """

    def append(
        self,
        transcript: Transcript,
        source: MediaSource,
        info: MediaInfo,
        timings: Timings = UNKNOWN,
        accuracy: CaptionAccuracy | None = None,
    ) -> dict[str, int]:
        """Put the transcript's rows in place of those it had, all tables at once; rows by table.

        Args:
            accuracy: None: there are no captions to measure it by.
        """
        tables = lake_rows(transcript, source, info, timings, accuracy)

        def replace(cursor: "DuckDBPyConnection") -> None:
            for name in OF_A_TRANSCRIPTION:
                cursor.execute(
                    f"delete from lake.main.{name} where transcription_id = $id",  # noqa: S608
                    {"id": transcript.id},
                )
            cursor.execute(
                "delete from lake.main.media where media_id = $id", {"id": source.media_id}
            )
            for name, rows in tables.items():
                if rows.num_rows:
                    cursor.register("new_rows", rows)
                    cursor.execute(
                        f"insert into lake.main.{name} by name select * from new_rows"  # noqa: S608
                    )
                    cursor.unregister("new_rows")

        self._write(source.media_id, replace)
        return {name: rows.num_rows for name, rows in tables.items()}

    def measured(self, transcript: Transcript, accuracy: CaptionAccuracy) -> None:
        """Put how exact a transcript is in place of what was said of it, if it is in the lake."""

        def replace(cursor: "DuckDBPyConnection") -> None:
            cursor.execute(
                "delete from lake.main.caption_accuracy where transcription_id = $id",
                {"id": transcript.id},
            )
            cursor.register("new_row", accuracy_rows(transcript, accuracy))
            cursor.execute(
                "insert into lake.main.caption_accuracy by name select * from new_row "
                "where transcription_id in (select transcription_id from lake.main.transcripts)"
            )
            cursor.unregister("new_row")

        self._write(transcript.media_id, replace)

    def delete(self, id: str) -> None:
        """Take the transcription out of every table; its bytes stay until `erase` or `compact`."""
        self._write(media_of(id), lambda cursor: delete_rows(cursor, [id]))

    def erase(self, *ids: str) -> None:
        """Delete the transcriptions and every byte of them: files, snapshots, statistics, copies.

        What is left to do is done again when this is repeated after a failure.
        """
        with self._connection.locked(exclusive=True) as connection:
            with self._connection.transaction() as cursor:
                delete_rows(cursor, ids)
            sweep(self._connection, connection)
        files = list_files(self._connection)
        self._cache.prune(files)
        self._shares.prune(files)

    def compact(self) -> Compacted:
        """Few large files instead of one a transcription; deleted rows' bytes, earlier snapshots
        and files that nobody knows go, too. The one implementation of the lake's maintenance.

        Raises:
            BackupRunning.
        """
        with removing(self._postgres), self._connection.locked(exclusive=True) as connection:
            files_before, snapshots_before = self._size(), snapshot_count(connection)
            merge_files(self._connection)
            sweep(self._connection, connection)
            files_after = self._size()
            return Compacted(
                *files_before, *files_after, snapshots_before - snapshot_count(connection)
            )

    def remove_unknown_files(self) -> None:
        """They go, and with them whatever else is no longer needed.

        Raises:
            BackupRunning.
        """
        with removing(self._postgres), self._connection.locked(exclusive=True) as connection:
            sweep(self._connection, connection)

    def verify(
        self,
        completed: Callable[[], Iterable[str]],
        document: Callable[[str], Document | None],
        *,
        repair: bool = False,
    ) -> LakeReport:
        """Read every file and compare every row with the transcript documents, which are the truth.

        Args:
            completed: gives the ids that must be in the lake.
            document: gives a transcription's document; None where there is none. StorageError or
                ValueError: it cannot be read, and its rows are left alone.
            repair: rebuild what is missing or different, remove what has no document.

        Raises:
            BackupRunning: there is something to repair.
        """
        must_be = set(completed())  # first: what completes from here on is in the lake by then
        with self._connection.locked(), self._connection.cursor() as cursor:
            files = list_files(self._connection)
            stored = read_stored(cursor, files, is_local=self._connection.storage.is_local)
            found = compare(cursor, stored, must_be, document)
        damaged = [file.path for file in stored.damaged]
        if repair and (damaged or found.different or found.orphaned):
            self._repair(damaged, found.different, found.orphaned, document)
        return LakeReport(
            file_count=sum(len(listed) for listed in files.values()),
            transcription_count=len({*must_be, *stored.transcriptions}),
            damaged_files=tuple(damaged),
            different=tuple(found.different),
            orphaned=tuple(found.orphaned),
            unreadable=found.unreadable,
            is_repaired=repair,
        )

    def _size(self) -> tuple[int, int]:
        parts = [
            part
            for listed in list_files(self._connection).values()
            for file in listed
            for part in file.parts
        ]
        return len(parts), sum(size for _, size in parts)

    def _write(self, media_id: str, change: Callable[["DuckDBPyConnection"], None]) -> None:
        """One DuckLake transaction, repeated while other writers commit first."""
        lake = self._connection
        for attempt in range(1, _TRIES + 1):
            is_last = attempt == _TRIES
            try:
                with lake.locked(media_id=media_id, exclusive=is_last) as connection:
                    before = latest_snapshot(connection)
                    with lake.transaction() as cursor:
                        change(cursor)
                    if lake.storage.is_local:
                        fsync_new_files(lake, connection, before)
                return
            except LakeConflict as conflict:
                if is_last:
                    raise
                _log.info("attempt %d at the lake: %s", attempt, conflict)
                time.sleep(random.uniform(0.5, 1) * _FIRST_PAUSE_S * 2**attempt)  # noqa: S311

    def _repair(
        self,
        damaged: list[str],
        different: list[str],
        orphaned: list[str],
        document: Callable[[str], Document | None],
    ) -> None:
        with removing(self._postgres):
            if damaged:
                with self._connection.locked(exclusive=True) as connection:
                    forget_files(connection, damaged)
                    sweep(self._connection, connection)
            for id in different:
                found = document(id)
                if found is not None:
                    self.append(*found)
            if orphaned:
                self.erase(*orphaned)
