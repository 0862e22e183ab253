"""TranscriptCatalog: the transcripts as tables in DuckLake, for writing and for querying."""

import logging
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import dagster as dg
from pydantic import PrivateAttr

from resources.lake.caller_files import CallerFiles, given_titles, visible_ids
from resources.lake.connection import LakeConflict, LakeConnection
from resources.lake.file_cache import LakeFileCache
from resources.lake.files import (
    LakeFile,
    LakeFiles,
    fsync_new_files,
    latest_snapshot,
    list_files,
    with_current_files,
)
from resources.lake.maintenance import (
    CompactionResult,
    delete_rows,
    forget_files,
    media_id_of,
    merge_files,
    purge_deleted,
    snapshot_count,
)
from resources.lake.query import QueryResult, QueryStop, run_query
from resources.lake.reconcile import Agreement, agreement
from resources.lake.verify import Document, LakeReport, compare, read_stored
from resources.lake.views import OPTIMIZERS_OFF, view_named
from resources.postgres.advisory_locks import removal_lock
from resources.postgres.connection import Postgres
from ytcaption.domain.media.media import MediaInfo, MediaSource
from ytcaption.domain.transcripts.accuracy import CaptionAccuracy
from ytcaption.domain.transcripts.lake_rows import accuracy_rows, lake_rows
from ytcaption.domain.transcripts.lake_schema import OF_A_TRANSCRIPTION, TABLES
from ytcaption.domain.transcripts.timings import UNKNOWN, Timings
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

_MAX_ATTEMPTS = 5  # the last holds the whole lake, so that other writers cannot starve this one
_FIRST_PAUSE_S = 0.05
_BATCH_ROWS = 50_000
_READS_TITLES = re.compile("media|library", re.IGNORECASE)
"""Matches every query of the tables that have titles, and some others."""

_log = logging.getLogger(__name__)


class TranscriptCatalog(dg.ConfigurableResource):
    """The lake: `append`, `delete`, `erase`, `compact`, `verify`, `query`, `view`.

    Its methods raise LakeUnavailable, DatabaseUnavailable, DiskFull and SetupError.
    """

    _settings: Settings | None = PrivateAttr(default=None)
    _lake: LakeConnection | None = PrivateAttr(default=None)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the lake of `settings`; without this call, the environment's settings are used."""
        catalog = cls()
        catalog._settings = settings
        return catalog

    # Writing.

    def open(self) -> None:
        """Attach the lake now instead of at its first use, and create it if there is none."""
        with self._connection.cursor():
            return

    def append(
        self,
        transcript: Transcript,
        source: MediaSource,
        info: MediaInfo,
        timings: Timings = UNKNOWN,
        accuracy: CaptionAccuracy | None = None,
    ) -> dict[str, int]:
        """Replace the transcript's rows in all tables in one transaction.

        Args:
            accuracy: None if there are no captions to measure it against.

        Returns:
            Number of rows written, by table.
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

    def set_accuracy(self, transcript: Transcript, accuracy: CaptionAccuracy) -> None:
        """Replace the transcript's accuracy row, if the transcript is in the lake."""

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
        """Delete the transcription's rows; their bytes stay until `erase` or `compact`."""
        self._write(media_id_of(id), lambda cursor: delete_rows(cursor, [id]))

    def erase(self, *ids: str) -> None:
        """Delete the transcriptions and every byte of them: files, snapshots, statistics, copies.

        Calling it again after a failure completes the work.
        """
        with self._connection.locked(exclusive=True) as connection:
            with self._connection.transaction() as cursor:
                delete_rows(cursor, ids)
            purge_deleted(self._connection, connection)
        self._remove_copies()

    def compact(self) -> CompactionResult:
        """Merge small files, and remove deleted rows, earlier snapshots and orphaned files.

        Raises:
            BackupRunning.
        """
        with removal_lock(self._postgres), self._connection.locked(exclusive=True) as connection:
            files_before, snapshots_before = self._size(), snapshot_count(connection)
            merge_files(self._connection)
            purge_deleted(self._connection, connection)
            files_after = self._size()
            snapshots_after = snapshot_count(connection)
        self._remove_copies()
        return CompactionResult(*files_before, *files_after, snapshots_before - snapshots_after)

    def orphaned_files(self) -> list[str]:
        """Return the paths of files of no snapshot, such as those of a killed writer.

        Files younger than an hour are not listed: their writer may not have committed yet.
        """
        with self._connection.cursor() as cursor:
            return [
                row[0]
                for row in cursor.execute(
                    "call ducklake_delete_orphaned_files('lake', dry_run => true, "
                    "older_than => now() - interval 1 hour)"
                ).fetchall()
            ]

    def remove_orphaned_files(self) -> None:
        """Remove orphaned files, and all else that is no longer needed.

        Raises:
            BackupRunning.
        """
        with removal_lock(self._postgres), self._connection.locked(exclusive=True) as connection:
            purge_deleted(self._connection, connection)
        self._remove_copies()

    def verify(
        self,
        completed: Callable[[], Iterable[str]],
        document: Callable[[str], Document | None],
        *,
        repair: bool = False,
    ) -> LakeReport:
        """Read every file and compare every row with the transcript documents, which are the truth.

        Args:
            completed: returns the ids that must be in the lake.
            document: returns a transcription's document; None if there is none. If it raises
                StorageError or ValueError, the document is unreadable and its rows stay as they
                are.
            repair: rebuild what is missing or different, remove what has no document.

        Raises:
            BackupRunning: there is something to repair.
        """
        expected_ids = set(completed())  # first: what completes later is in the lake before that
        with self._connection.locked(), self._connection.cursor() as cursor:
            files = list_files(self._connection)
            stored = read_stored(cursor, files, is_local=self._connection.storage.is_local)
            comparison = compare(cursor, stored, expected_ids, document)
        damaged = [file.path for file in stored.damaged]
        if repair and (damaged or comparison.different or comparison.orphaned):
            self._repair(damaged, comparison.different, comparison.orphaned, document)
        return LakeReport(
            file_count=sum(len(table_files) for table_files in files.values()),
            transcription_count=len({*expected_ids, *stored.transcriptions}),
            damaged_files=tuple(damaged),
            different=tuple(comparison.different),
            orphaned=tuple(comparison.orphaned),
            unreadable=comparison.unreadable,
            is_repaired=repair,
        )

    # Reading.

    def agreement(self) -> Agreement:
        """Compare segments, words and text of every transcription with Postgres."""
        return agreement(self._postgres, self._connection)

    def rows_of(self, table: str, keys: Sequence[str]) -> "Iterator[pa.RecordBatch]":
        """Yield a table's rows of the given transcriptions (of `media`: media), in order.

        Erasing and maintenance, which remove files, wait until the iterator is exhausted or closed.

        Args:
            keys: values of the table's first column.
        """
        names = [column.name for column in TABLES[table]]
        index_columns = [name for name in ("segment_index", "word_index") if name in names]
        with self._connection.locked(), self._connection.transaction() as cursor:
            yield from cursor.execute(
                f"select {', '.join(names)} from lake.main.{table} "  # noqa: S608
                f"where {names[0]} in (select unnest($keys)) "
                f"order by {', '.join([names[0], *index_columns])}",
                {"keys": list(keys)},
            ).to_arrow_reader(_BATCH_ROWS)

    def query(
        self,
        sql: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        owner: str | None = None,
        limit: int | None = None,
        timeout_s: float | None = None,
        optimizers_off: Sequence[str] = (),
        stop: QueryStop | None = None,
    ) -> QueryResult:
        """Run an untrusted SELECT over the tables in a sandboxed process of its own.

        Args:
            parameters: values of `$name` in the SQL, of JSON's types.
            owner: `Caller.sees_only`; if given, the tables hold only this owner's rows.
            limit: maximum number of rows; by default the settings'.
            timeout_s: by default the settings'.
            optimizers_off: see `run_query`.
            stop: ends the query early.

        Raises:
            QueryError: the statement is refused, fails or exceeds its limits.
        """
        settings = self._used_settings
        limit = settings.analytics.query_rows if limit is None else limit
        timeout_s = settings.analytics.query_timeout_s if timeout_s is None else timeout_s
        return run_query(
            sql,
            lambda: self._files_of(owner),
            limit=limit,
            timeout_s=timeout_s,
            memory_bytes=settings.analytics.query_memory_bytes,
            titles=self._titles(sql, owner),
            parameters=parameters,
            optimizers_off=optimizers_off,
            stop=stop,
        )

    def view(
        self,
        name: str,
        arguments: Mapping[str, str],
        *,
        owner: str | None = None,
        limit: int | None = None,
        timeout_s: float | None = None,
        stop: QueryStop | None = None,
    ) -> QueryResult:
        """Run one of `VIEWS`, as `query` does.

        Args:
            arguments: parameter values by name, as text; missing ones get their default.

        Raises:
            ViewNotFound: there is no view of this name.
            InvalidOption: a parameter is unknown, missing or invalid.
            QueryError: the view exceeds its limits.
        """
        view = view_named(name)
        limit = self._used_settings.analytics.query_rows if limit is None else limit
        return self.query(
            view.sql,
            parameters=view.values(arguments, limit),
            owner=owner,
            limit=limit,
            timeout_s=timeout_s,
            optimizers_off=OPTIMIZERS_OFF,
            stop=stop,
        )

    @property
    def _used_settings(self) -> Settings:
        if self._settings is None:
            self._settings = load_settings()
        return self._settings

    @property
    def _connection(self) -> LakeConnection:
        if self._lake is None:
            self._lake = LakeConnection(self._used_settings)
        return self._lake

    @property
    def _postgres(self) -> Postgres:
        # Backups register here, even if the catalog is in another database.
        return Postgres.from_settings(self._used_settings, "dagster")

    @property
    def _file_cache(self) -> LakeFileCache:
        return LakeFileCache(self._used_settings)

    @property
    def _caller_files(self) -> CallerFiles:
        return CallerFiles(self._used_settings)

    def _files_of(self, owner: str | None) -> LakeFiles:
        if owner is None:
            return self._files_to_query()
        # Ids first, then files: what is withdrawn or erased in between is not in the files.
        ids = visible_ids(Postgres.from_settings(self._used_settings, "api"), owner)
        return with_current_files(
            self._files_to_query, lambda files: self._caller_files.visible(files, owner, ids)
        )

    def _titles(self, sql: str, owner: str | None) -> dict[str, str]:
        """Return the titles that came with requests, unless the query cannot read them."""
        if not _READS_TITLES.search(sql):
            return {}
        return given_titles(Postgres.from_settings(self._used_settings, "api"), owner)

    def _files_to_query(self) -> dict[str, list[LakeFile]]:
        if self._connection.storage.is_local:
            return list_files(self._connection)
        return with_current_files(
            lambda: list_files(self._connection), self._file_cache.local_copies
        )

    def _remove_copies(self) -> None:
        """Remove the copies of files that the lake no longer has, those in progress too."""
        files = list_files(self._connection)
        self._file_cache.prune(files, in_progress=True)
        self._caller_files.prune(files, in_progress=True)

    def _size(self) -> tuple[int, int]:
        """Return the number of files and their total bytes."""
        parts = [
            part
            for table_files in list_files(self._connection).values()
            for file in table_files
            for part in file.parts
        ]
        return len(parts), sum(size for _, size in parts)

    def _write(self, media_id: str, change: Callable[["DuckDBPyConnection"], None]) -> None:
        """Run one DuckLake transaction, repeated while other writers commit first."""
        lake = self._connection
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            is_last = attempt == _MAX_ATTEMPTS
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
                _log.info("attempt %d to write the lake failed: %s", attempt, conflict)
                time.sleep(random.uniform(0.5, 1) * _FIRST_PAUSE_S * 2**attempt)  # noqa: S311

    def _repair(
        self,
        damaged: list[str],
        different: list[str],
        orphaned: list[str],
        document: Callable[[str], Document | None],
    ) -> None:
        with removal_lock(self._postgres):
            if damaged:
                with self._connection.locked(exclusive=True) as connection:
                    forget_files(connection, damaged)
                    purge_deleted(self._connection, connection)
            for id in different:
                contents = document(id)
                if contents is not None:
                    self.append(*contents)
            if orphaned:
                self.erase(*orphaned)
