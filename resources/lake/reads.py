"""What is read of the lake: queries of anybody's, counts, and how it compares with Postgres."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import dagster as dg
from pydantic import PrivateAttr

from resources.lake.cache import LakeFileCache
from resources.lake.caller_files import LakeShares, visible_ids
from resources.lake.connection import LakeConnection
from resources.lake.files import LakeFile, LakeFiles, list_files
from resources.lake.maintenance import media_of
from resources.lake.query import QueryResult, QueryStop, run_query
from resources.lake.reconcile import Agreement, agreement
from resources.lake.views import OPTIMIZERS_OFF, view_named
from resources.postgres.connection import Postgres
from ytcaption.domain.transcripts.lake_schema import TABLES
from ytcaption.settings import Settings, load_settings

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 50_000


class LakeReads(dg.ConfigurableResource):
    """The lake as it stands; nothing here changes it.

    Its methods raise LakeUnavailable, DatabaseUnavailable and SetupError.
    """

    _settings: Settings | None = PrivateAttr(default=None)
    _lake: LakeConnection | None = PrivateAttr(default=None)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The lake of `settings`; otherwise the environment's settings are taken."""
        catalog = cls()
        catalog._settings = settings
        return catalog

    def open(self) -> None:
        """Attach the lake now, and not when it is first needed; where there is none, make it."""
        with self._connection.cursor():
            return

    def unknown_files(self) -> list[str]:
        """Paths of files that no snapshot knows, as a killed writer leaves them, an hour old or
        more: younger ones may be a writer's that has not committed."""
        with self._connection.cursor() as cursor:
            return [
                row[0]
                for row in cursor.execute(
                    "call ducklake_delete_orphaned_files('lake', dry_run => true, "
                    "older_than => now() - interval 1 hour)"
                ).fetchall()
            ]

    def row_counts(self, id: str) -> dict[str, int]:
        """How many rows the transcription has in each table."""
        with self._connection.transaction() as cursor:
            counts = {}
            for name, columns in TABLES.items():
                key = media_of(id) if name == "media" else id
                counts[name] = cursor.execute(
                    f"select count(*) from lake.main.{name} where {columns[0].name} = $key",  # noqa: S608
                    {"key": key},
                ).fetchall()[0][0]
            return counts

    def transcript_ids(self) -> set[str]:
        """All transcriptions in the lake."""
        with self._connection.cursor() as cursor:
            rows = cursor.execute("select transcription_id from lake.main.transcripts").fetchall()
            return {row[0] for row in rows}

    def rows_of(self, table: str, keys: Sequence[str]) -> "Iterator[pa.RecordBatch]":
        """A table's rows of some transcriptions, or of `media` of some media, in their order.

        Args:
            keys: values of the table's first column.
        """
        names = [column.name for column in TABLES[table]]
        places = [name for name in ("segment_index", "word_index") if name in names]
        with self._connection.transaction() as cursor:
            yield from cursor.execute(
                f"select {', '.join(names)} from lake.main.{table} "  # noqa: S608
                f"where {names[0]} in (select unnest($keys)) "
                f"order by {', '.join([names[0], *places])}",
                {"keys": list(keys)},
            ).to_arrow_reader(_BATCH_ROWS)

    def agreement(self) -> Agreement:
        """Segments, words and text of every transcription here, beside Postgres."""
        return agreement(self._postgres, self._connection)

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
        """One SELECT of anybody's over the tables, in a bare process of its own (rules 27 to 30).

        Args:
            parameters: values of `$name` in it, of JSON's types.
            owner: who asks, as `Caller.sees_only` says; the tables then hold no others' rows.
            limit: most rows; the settings' otherwise.
            timeout_s: longest time; the settings' otherwise.
            optimizers_off: as `run_query`.
            stop: ends it early.

        Raises:
            QueryError: it is refused, fails, or needs more than it may have.
        """
        settings = self._used_settings
        limit = settings.query_rows if limit is None else limit
        timeout_s = settings.query_timeout_s if timeout_s is None else timeout_s
        return run_query(
            sql,
            lambda: self._files_of(owner),
            limit=limit,
            timeout_s=timeout_s,
            memory_bytes=settings.query_memory_bytes,
            parameters=parameters,
            optimizers_off=optimizers_off,
            stop=stop,
        )

    def view(
        self,
        name: str,
        given: Mapping[str, str],
        *,
        owner: str | None = None,
        limit: int | None = None,
        timeout_s: float | None = None,
        stop: QueryStop | None = None,
    ) -> QueryResult:
        """One of `VIEWS`, as `query`.

        Args:
            given: parameters by name, as texts; what is left out has its default.

        Raises:
            ViewNotFound: there is none of this name.
            InvalidOption: a parameter is not known, missing, or not what it must be.
            QueryError: it needs more than it may have.
        """
        view = view_named(name)
        limit = self._used_settings.query_rows if limit is None else limit
        return self.query(
            view.sql,
            parameters=view.values(given, limit),
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
        # Where backups say that they are being made, even if the catalog is elsewhere.
        return Postgres.from_settings(self._used_settings, "dagster")

    @property
    def _cache(self) -> LakeFileCache:
        return LakeFileCache(self._used_settings)

    @property
    def _shares(self) -> LakeShares:
        return LakeShares(self._used_settings)

    def _files_of(self, owner: str | None) -> LakeFiles:
        if owner is None:
            return self._files_to_query()
        # First whose, then which: what is withdrawn or erased meanwhile is not in the files.
        ids = visible_ids(Postgres.from_settings(self._used_settings, "api"), owner)
        return self._shares.of(self._files_to_query(), ids)

    def _files_to_query(self) -> dict[str, list[LakeFile]]:
        files = list_files(self._connection)
        return files if self._connection.storage.is_local else self._cache.local(files)
