"""Dagster's storage in Postgres with pooled connections.

Dagster's own storage opens a connection per statement, about fifty for a run of one asset, and each
costs the server a process. Its code server creates an instance for each tick of a sensor.
"""

import select
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import psycopg2
import sqlalchemy as db
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
)
from dagster_postgres.utils import (
    DagsterPostgresException,
    create_pg_engine,
    pg_url_from_config,
    retry_pg_connection_fn,
)
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError, SQLAlchemyError

from resources.orchestration.dagster_internals import ConfigurableClassData
from resources.postgres.time_budget import CONNECT_PARAMETERS
from ytcaption.domain.errors import DatabaseUnavailable

KEPT = 1
"""Connections an idle process keeps. More are opened while its threads need them."""

LINGER_S = 15.0
"""Seconds they are kept after the last instance has ended: our sensors tick every five seconds."""

_TRUSTED_S = 5.0  # since its last use: a connection counts as open without a round trip
_RETURNED_AT = "ytcaption_returned_at"

_LIMITS = "set statement_timeout = '60s'; set lock_timeout = '20s'"

# Dagster's own storage lists all tables for each of its three parts, in every process and tick.
_HAS_TABLES = db.text(
    "select bool_and(to_regclass(name) is not null) "
    "from unnest(array['runs', 'event_logs', 'instigators', 'instance_info']) name"
)


class KeptPostgresStorage(DagsterPostgresStorage):
    """The storage named in dagster.yaml (`storage: custom`); configured like `postgres`."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables=False, inst_data=inst_data)
        self._run_storage = _RunStorage(postgres_url, should_autocreate_tables=False)
        self._event_log_storage = _EventLogStorage(postgres_url, should_autocreate_tables=False)
        engine = _engines.take(postgres_url)
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = engine  # as its optimize_for_webserver does
        if should_autocreate_tables and not retry_pg_connection_fn(lambda: _has_tables(engine)):
            DagsterPostgresStorage(postgres_url)  # creates them

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """Return the storage that dagster.yaml describes."""
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
        )


def create_dagster_tables(postgres_url: str) -> None:
    """Create Dagster's tables in an empty database, and keep no connection to it.

    Raises:
        DatabaseUnavailable: it does not answer.
    """
    try:
        DagsterPostgresStorage(postgres_url)  # its engines keep no connection open
    except (SQLAlchemyError, DagsterPostgresException) as error:
        raise DatabaseUnavailable("Dagster's new database does not answer.") from error


class _RunStorage(PostgresRunStorage):
    _has_ended = False

    def dispose(self) -> None:
        """End the use by this instance."""
        super().dispose()
        if not self._has_ended:
            self._has_ended = True
            _engines.leave(self.postgres_url)


class _EventLogStorage(PostgresEventLogStorage):
    """Looks once which tables and columns there are, not with each event: they do not vanish."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._tables: set[str] = set()
        self._columns: set[str] = set()
        super().__init__(*args, **kwargs)

    def has_table(self, table_name: str) -> bool:
        """Return whether Dagster's schema has the table."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _has_asset_key_col_on_connection(self, conn: db.Connection, column_name: str) -> bool:
        if column_name not in self._columns:
            if not super()._has_asset_key_col_on_connection(conn, column_name):
                return False
            self._columns.add(column_name)
        return True

    def has_asset_key_col(self, column_name: str) -> bool:
        """Return whether the table of assets has the column."""
        return column_name in self._columns or super().has_asset_key_col(column_name)


@dataclass
class _Kept:
    """Connections to one server.

    Attributes:
        users: number of instances that use them.
        left_at: when the last instance ended.
    """

    engine: db.Engine
    users: int = 0
    left_at: float = 0.0


class _Engines:
    """The connections of this process, by URL."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}

    def take(self, url: str) -> db.Engine:
        """Return the engine of a URL; the caller must call `leave` once."""
        with self._lock:
            if url not in self._kept:
                engine = create_pg_engine(
                    url,
                    isolation_level="AUTOCOMMIT",
                    pool_size=KEPT,
                    max_overflow=-1,  # no limit: nobody waits for a connection
                    connect_args=CONNECT_PARAMETERS,
                )
                event.listen(engine, "connect", _limit_statements)
                event.listen(engine, "checkin", _mark_returned)
                event.listen(engine, "checkout", _require_open)
                event.listen(engine, "do_execute", _leave_out)
                self._kept[url] = _Kept(engine)
            self._kept[url].users += 1
            return self._kept[url].engine

    def leave(self, url: str) -> None:
        """End one use; the connections are closed later, unless they are used again."""
        with self._lock:
            kept = self._kept[url]
            kept.users -= 1
            kept.left_at = time.monotonic()
            if not kept.users:
                closing = threading.Timer(LINGER_S, self._close, (url, kept.left_at))
                closing.daemon = True
                closing.start()

    def _close(self, url: str, left_at: float) -> None:
        with self._lock:
            kept = self._kept.get(url)
            if kept is not None and not kept.users and kept.left_at == left_at:
                del self._kept[url]
                kept.engine.dispose()


_engines = _Engines()


def _limit_statements(connection: Any, record: Any) -> None:
    before = connection.autocommit
    connection.autocommit = True  # in a transaction, a rollback would take the limits back
    with connection.cursor() as cursor:
        cursor.execute(_LIMITS)
    connection.autocommit = before


def _mark_returned(connection: Any, record: Any) -> None:
    record.info[_RETURNED_AT] = time.monotonic()


def _leave_out(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    """Return whether a statement is not sent: the NOTIFY after each event, to which nobody listens.

    Dagster keeps it for its own older versions.
    """
    return statement.startswith("NOTIFY run_events")


def _require_open(connection: Any, record: Any, proxy: Any) -> None:
    """Let the pool replace a connection that the server has closed.

    SQLAlchemy's `pool_pre_ping` would ask the server each time, which doubles the round trips of a
    run.
    """
    returned_at = record.info.get(_RETURNED_AT)
    if returned_at is None:  # it was made just now
        return
    try:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        if time.monotonic() - returned_at <= _TRUSTED_S and not poll.poll(0):
            return
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    except psycopg2.Error as error:
        raise DisconnectionError("the server has closed the connection") from error


def _has_tables(engine: db.Engine) -> bool:
    with engine.connect() as connection:
        return connection.execute(_HAS_TABLES).scalar_one()
