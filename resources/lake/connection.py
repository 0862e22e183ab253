"""DuckLake attached to a DuckDB of our own, on which no untrusted SQL runs."""

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from resources.lake.extensions import load_extensions
from resources.lake.schema import has_schema, has_tables, upgrade_tables
from resources.lake.storage import LakeStorage, quoted
from resources.postgres.connection import Postgres
from ytcaption.domain.errors import DatabaseUnavailable, DiskFull, LakeUnavailable
from ytcaption.settings.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DAMAGED = "A file of the lake is missing or damaged. Run `ytcaption lake verify --repair`."

_DAMAGE = (
    "no such file",
    "no files found",
    "too small to be a parquet file",
    "no magic bytes",
    "don't know what type",
    "tprotocolexception",
    "zstd decompression",
)
"""DuckDB's words for a Parquet file that is missing or has wrong bytes."""
_CONFLICT = ("conflict", "duplicate key", "could not serialize")

_LOCK_CLASS = 0x6C616B65  # "lake": the first half of our advisory lock keys
_WHOLE_LAKE = 0
_LOCK_WAIT_S = 120  # an erasure rewrites files, and appends wait for it
_STATEMENT_S = 600.0  # the schema of a new lake


class LakeConflict(LakeUnavailable):
    """Another writer committed first; this transaction left nothing and can be repeated."""


class LakeConnection:
    """One DuckDB per process, opened on first use, usable from several threads."""

    def __init__(self, settings: Settings) -> None:
        self.storage = LakeStorage.of(settings)
        self._postgres = Postgres.from_settings(settings, role="lake")
        self._opening = threading.Lock()
        self._databases: dict[int, DuckDBPyConnection] = {}

    @contextmanager
    def cursor(self) -> Iterator["DuckDBPyConnection"]:
        """Yield a cursor with a transaction of its own, on which the lake is attached as `lake`.

        Raises:
            LakeConflict: another writer committed first.
            LakeUnavailable, DatabaseUnavailable, DiskFull, SetupError.
        """
        with lake_errors(), self._database().cursor() as cursor:
            yield cursor

    @contextmanager
    def transaction(self) -> Iterator["DuckDBPyConnection"]:
        """Yield a cursor in one DuckLake transaction: all or nothing, one snapshot throughout."""
        with self.cursor() as cursor:
            cursor.begin()
            try:
                yield cursor
                cursor.commit()
            except BaseException:
                _roll_back(cursor)
                raise

    @contextmanager
    def locked(
        self, *, media_id: str | None = None, exclusive: bool = False
    ) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        """Hold off other writers, in any process, while the context lasts.

        DuckLake detects two writers that delete the same row, but not two that add it, so writers
        of one media item take turns. Maintenance (`exclusive`) locks the whole lake. The locks
        belong to the yielded connection, so a writer that dies releases them.

        Raises:
            LakeUnavailable: another process holds the lake too long.
            as `cursor`.
        """
        with lake_errors():
            self._database()  # setting up a new lake takes the lock, too
        with self._lock(media_id, exclusive=exclusive) as connection:
            yield connection

    def close(self) -> None:
        """Close this process's DuckDB with its connections to the catalog; the next use opens
        another."""
        with self._opening:
            database = self._databases.pop(os.getpid(), None)
        if database is not None:
            database.close()

    @contextmanager
    def _lock(
        self, media_id: str | None = None, *, exclusive: bool
    ) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        with self._postgres.own_connection(_STATEMENT_S, lock_s=_LOCK_WAIT_S) as connection:
            shared = "" if exclusive else "_shared"
            try:
                connection.execute(
                    f"select pg_advisory_lock{shared}(%s, %s)", (_LOCK_CLASS, _WHOLE_LAKE)
                )
                if media_id is not None:
                    connection.execute(
                        "select pg_advisory_lock(%s, %s)", (_LOCK_CLASS, _lock_key(media_id))
                    )
            except psycopg.errors.LockNotAvailable as error:
                raise LakeUnavailable(
                    "The lake is busy with another writer or maintenance. Try again in a few "
                    "minutes."
                ) from error
            yield connection

    def _database(self) -> "DuckDBPyConnection":
        with self._opening:
            # By process: a forked child must neither use its parent's connections nor close them,
            # which would wait for threads that the child does not have.
            database = self._databases.get(os.getpid())
            if database is None:
                database = self._databases[os.getpid()] = self._open()
            self.storage.give_access(database)
            return database

    def _open(self) -> "DuckDBPyConnection":
        import duckdb

        # Several threads would write a file's rows unsorted.
        database = duckdb.connect(":memory:", config={"threads": "1"})
        load_extensions(database, "ducklake", "postgres_scanner")
        database.execute("set global TimeZone = 'UTC'")  # partitions are months in UTC
        self.storage.prepare(database)
        with self._postgres.own_connection() as connection:
            is_new = not has_tables(connection)
            catalog = self._catalog(connection)
        # In a secret, because DuckDB's messages quote the text after `postgres:`.
        password = quoted(str(catalog.pop("password", "")))
        database.execute(f"create secret lake_catalog (type postgres, password {password})")
        attach = (
            f"attach {quoted('ducklake:postgres:' + make_conninfo('', **catalog))} as lake "
            f"(data_path {quoted(self.storage.data_path)}, override_data_path true, "
            "meta_schema 'lake', meta_secret 'lake_catalog', data_inlining_row_limit 0)"
        )
        if is_new:
            with self._lock(exclusive=True) as connection:
                if not has_schema(connection):
                    connection.execute("create schema if not exists lake")
                database.execute(attach)
                if not has_tables(connection):  # another process may have been first
                    upgrade_tables(database, connection)
        else:
            database.execute(attach)
        return database

    def _catalog(self, connection: psycopg.Connection[Any]) -> dict[str, Any]:
        """Return libpq's parameters, with the role that our own connections take on this server."""
        parameters = conninfo_to_dict(self._postgres.url)
        row = connection.execute("select current_user as role, session_user as login").fetchone()
        if row and row["role"] != row["login"]:
            options = f"{parameters.get('options') or ''} -c role={row['role']}".strip()
            parameters["options"] = options
        return parameters


@contextmanager
def lake_errors() -> Iterator[None]:
    """Map DuckDB's exceptions to ours, without their text, which quotes paths and SQL."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        text = str(error).lower()
        if "no space left" in text:
            raise DiskFull("No space left for the lake. Free some space and try again.") from error
        if "unable to connect to postgres" in text:
            raise DatabaseUnavailable(
                "The lake's catalog does not answer. Check that Postgres runs."
            ) from error
        if any(mark in text for mark in _CONFLICT):
            raise LakeConflict("Another writer changed the lake first. Try again.") from error
        if is_damage(error):
            raise LakeUnavailable(DAMAGED) from error
        raise LakeUnavailable(
            "The lake could not be read or written. Check that Postgres runs and that the object "
            "store can be reached."
        ) from error


def is_damage(error: Exception) -> bool:
    """Return whether DuckDB says that a file is missing or has wrong bytes, and not that it cannot
    be reached."""
    import duckdb

    if isinstance(error, duckdb.HTTPException):
        # Not by its text, which has the path: a file's name may contain any number.
        return getattr(error, "status_code", None) == HTTPStatus.NOT_FOUND
    return any(mark in str(error).lower() for mark in _DAMAGE)


def _roll_back(cursor: "DuckDBPyConnection") -> None:
    import duckdb

    try:
        cursor.rollback()
    except duckdb.Error:
        return  # a failed commit has already ended the transaction


def _lock_key(media_id: str) -> int:
    digest = hashlib.sha256(media_id.encode()).digest()
    # 0 means the whole lake; two media with one key merely wait for each other.
    return int.from_bytes(digest[:4], signed=True) or 1
