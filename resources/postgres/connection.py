"""Postgres: pooled connections and transactions, with the rights of one part of the system."""

import asyncio
import os
import select
import threading
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import astuple
from typing import Any, Literal, LiteralString, Self, cast

import dagster as dg
import psycopg
from psycopg import AsyncConnection, Connection, sql
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout
from pydantic import Field, PrivateAttr

from resources.postgres.cursor import StableCursor
from resources.postgres.restore_mark import MARKED, in_restore, is_marked
from resources.postgres.time_budget import (
    CONNECT_PARAMETERS,
    CONNECT_S,
    STATEMENT_S,
    NoAnswer,
    WatchedConnection,
    answer_within,
    left_s,
    watch,
)
from resources.postgres.urls import ROLES, DatabaseUrls, database_urls
from ytcaption.domain.errors import (
    DatabaseReadOnly,
    DatabaseUnavailable,
    DiskFull,
    SetupError,
    StorageError,
)
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)

Role = Literal["admin", "api", "dagster", "lake"]

_MAX_POOL_SIZE = 10
_WAIT_S = 5.0  # for a connection, before the database counts as unavailable
_LOCK_S = 20.0
_TRUSTED_S = 1.0  # since its last use: a connection counts as open without a round trip

# By process too: a forked child must not use its parent's connections.
_pools: dict[tuple[int, str, str], ConnectionPool[Connection[DictRow]]] = {}
_pools_lock = threading.Lock()
os.register_at_fork(after_in_child=lambda: globals().update(_pools_lock=threading.Lock()))


class Postgres(dg.ConfigurableResource):
    """Transactions on schema `ytcaption` with the rights of one part."""

    role: Role = Field("dagster", description="Whose rights: admin, api, dagster or lake.")

    _url: str | None = PrivateAttr(default=None)

    @classmethod
    def from_settings(cls, settings: Settings, role: Role = "dagster") -> Self:
        """Return the resource for these settings instead of the environment's."""
        resource = cls(role=role)
        resource._url = getattr(database_urls(settings), role)
        return resource

    @property
    def url(self) -> str:
        """Return the URL for libpq. It holds a password: never show it."""
        url = self._url or getattr(database_urls(load_settings()), self.role)
        self._url = url
        return url

    @contextmanager
    def transaction(self) -> Iterator[Connection[DictRow]]:
        """Yield a connection in a transaction: committed at the end, rolled back by an exception.

        Raises:
            DatabaseUnavailable: no answer, or the connection broke. Nothing is committed, unless it
                broke during the commit, so statements must be safe to repeat.
            DiskFull: the server has no space left.
            SetupError: the schema or its grants are missing.
            StorageError: Postgres refused a statement.
        """
        with database_errors(), _connection(self.url, self.role) as connection:
            yield connection

    def rows(self, statement: LiteralString, parameters: Mapping[str, Any]) -> list[DictRow]:
        """Return the rows of one statement that may be repeated, in one round trip.

        If the connection is lost, the statement is sent once more on another.

        Raises:
            DatabaseUnavailable, DiskFull, SetupError, StorageError: as `transaction`.
        """
        with database_errors():
            for last in (False, True):
                with _connection(self.url, self.role) as connection:
                    try:
                        connection.autocommit = True
                        return connection.execute(statement, parameters).fetchall()
                    except NoAnswer:
                        raise  # another connection would wait as long
                    except psycopg.OperationalError:
                        if last or not connection.closed:
                            raise
                    finally:
                        if not connection.closed:
                            connection.autocommit = False
        raise AssertionError("unreachable")

    @contextmanager
    def own_connection(
        self, statement_s: float = STATEMENT_S, *, lock_s: float | None = None
    ) -> Iterator[Connection[DictRow]]:
        """Yield a connection outside the pool in autocommit, for LISTEN and advisory locks.

        Args:
            statement_s: longest statement, waiting for a lock included.
            lock_s: longest wait for a lock; None: `statement_s`.

        Raises:
            DatabaseUnavailable, DiskFull, SetupError, StorageError: as `transaction`.
        """
        with database_errors():
            connection = WatchedConnection.connect(
                self.url, autocommit=True, row_factory=dict_row, **CONNECT_PARAMETERS
            )
            with connection:
                watch(connection, self.url, statement_s)
                lock_s = statement_s if lock_s is None else lock_s
                if prepare(connection, self.role, statement_s=statement_s, lock_s=lock_s):
                    raise in_restore()
                yield connection

    async def notifications(self, channel: str) -> AsyncGenerator[str | None]:
        """Yield the payloads of NOTIFY on a channel, endlessly, on a connection of its own.

        The first is None: no later notification is missed. LISTEN needs no rights, so no role is
        set.

        Raises:
            DatabaseUnavailable: no answer, or the connection was lost.
        """
        with database_errors():
            connection = await AsyncConnection.connect(
                self.url, autocommit=True, **CONNECT_PARAMETERS
            )
            async with connection:
                try:
                    async with asyncio.timeout(CONNECT_S):
                        await connection.execute(
                            sql.SQL("listen {}").format(sql.Identifier(channel))
                        )
                except TimeoutError:
                    raise NoAnswer("the server did not answer in time") from None
                yield None
                async for notification in connection.notifies():
                    yield notification.payload


@contextmanager
def database_errors() -> Iterator[None]:
    """Map psycopg's exceptions to ours, without their text: it quotes SQL and values."""
    try:
        yield
    except psycopg.errors.DiskFull as error:
        raise DiskFull("The database has no space left. Free some and try again.") from error
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise DatabaseReadOnly(
            "The database accepts no changes: it is a standby, or set read-only. Use the primary, "
            "or make it writable, then try again."
        ) from error
    except (PoolTimeout, NoAnswer, psycopg.errors.ConnectionTimeout) as error:
        raise DatabaseUnavailable(
            "The database did not answer. Check that Postgres runs, then try again."
        ) from error
    except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable) as error:
        raise DatabaseUnavailable(
            "The database took too long: it is overloaded, or another statement holds a lock. "
            "Try again."
        ) from error
    except psycopg.errors.IdleInTransactionSessionTimeout as error:
        raise DatabaseUnavailable(
            "The database ended a transaction that did nothing for long. Try again."
        ) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnavailable(
            "The connection to the database was lost. Check that Postgres runs, then try again."
        ) from error
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
        psycopg.errors.UndefinedFunction,
        psycopg.errors.InvalidSchemaName,
    ) as error:
        raise SetupError("The database is not set up. Run `ytcaption migrate`.") from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise SetupError(
            "The database refused a statement for which this part has no rights. "
            "Run `ytcaption migrate`."
        ) from error
    except psycopg.Error as error:
        raise StorageError("The database refused a statement.") from error


def prepare(
    connection: Connection[DictRow],
    role: Role,
    *,
    statement_s: float = STATEMENT_S,
    lock_s: float = _LOCK_S,
) -> bool:
    """Set the time zone, the server's time limits and the rights of one part, in one round trip.

    On a server where all parts log in as one user, the role gives the rights. Where `migrate` was
    not allowed to create roles, the user's own rights remain.

    Args:
        connection: in autocommit.
        statement_s, lock_s: longest statement, and longest wait for a lock.

    Returns:
        Whether the database belongs to a restore that has not ended.
    """
    values = {
        "timezone": "UTC",
        "statement_timeout": f"{statement_s * 1000:.0f}ms",
        "lock_timeout": f"{lock_s * 1000:.0f}ms",
        "idle_in_transaction_session_timeout": "120s",
    }
    name = ROLES.get(role)
    if name is not None:
        with suppress(psycopg.errors.InvalidParameterValue, psycopg.errors.InsufficientPrivilege):
            return _set(connection, values | {"role": name})
    return _set(connection, values)


def _set(connection: Connection[DictRow], values: Mapping[str, str]) -> bool:
    """Set these, and return whether the database is marked."""
    calls = sql.SQL(", ").join([sql.SQL("set_config(%s, %s, false)")] * len(values))
    parameters = [each for item in values.items() for each in item]
    statement = sql.SQL("select {}, {}").format(sql.SQL(MARKED), calls)
    row = connection.execute(statement, parameters).fetchone()
    return row is not None and row["marked"]


def close_pools(urls: DatabaseUrls) -> None:
    """Close this process's pools of these databases."""
    with _pools_lock:
        keys = [key for key in _pools if key[0] == os.getpid() and key[1] in astuple(urls)]
        closing = [_pools.pop(key) for key in keys]
    for pool in closing:
        pool.close()


class _PooledConnection(WatchedConnection):
    returned_at = 0.0
    is_marked = False


def _mark_returned(connection: Connection[DictRow]) -> None:
    if isinstance(connection, _PooledConnection):
        connection.returned_at = time.monotonic()


@contextmanager
def _connection(url: str, role: Role) -> Iterator[Connection[DictRow]]:
    """Yield a working connection in a transaction.

    Connections that the server has closed, up to the whole pool, are replaced at once: the pool's
    own `check` would sleep for seconds after each.
    """
    pool = _pool(url, role)
    connection = _taken(pool)
    for _ in range(_MAX_POOL_SIZE):
        if _works(connection):
            break
        connection.close()
        pool.putconn(connection)
        connection = _taken(pool)
    try:
        if isinstance(connection, _PooledConnection) and connection.is_marked:
            connection.is_marked = is_marked(connection)  # it may have been removed since
            connection.rollback()
            if connection.is_marked:
                raise in_restore()
        with connection:
            yield connection
    finally:
        pool.putconn(connection)


def _taken(pool: ConnectionPool[Connection[DictRow]]) -> Connection[DictRow]:
    seconds = left_s(_WAIT_S)
    if seconds <= 0:
        raise NoAnswer("the time for this request is up")
    return pool.getconn(seconds)


def _works(connection: Connection[DictRow]) -> bool:
    """Return whether the server still has the connection open.

    Its socket shows that; only a connection idle for longer is asked, which takes a round trip.
    """
    returned_at = connection.returned_at if isinstance(connection, _PooledConnection) else 0.0
    poll = select.poll()
    try:
        poll.register(connection.fileno(), select.POLLIN)
        if time.monotonic() - returned_at <= _TRUSTED_S and not poll.poll(0):
            return True
        with answer_within(left_s(_WAIT_S)):
            cast(Any, ConnectionPool.check_connection)(connection)
    except psycopg.Error:
        return False
    return True


def _pool(url: str, role: Role) -> ConnectionPool[Connection[DictRow]]:
    # One a process, not one a resource: Dagster creates new resources for each run and tick.
    key = (os.getpid(), url, role)
    with _pools_lock:
        pool = _pools.get(key)
        if pool is None:
            pool = _pools[key] = _open_pool(url, role)
    return pool


def _open_pool(url: str, role: Role) -> ConnectionPool[Connection[DictRow]]:
    def configure(connection: Connection[DictRow]) -> None:
        watch(connection, url)
        with answer_within(_WAIT_S):
            connection.autocommit = True
            marked = prepare(connection, role)
            if isinstance(connection, _PooledConnection):
                # Once a connection: a restore swaps databases only when nobody is connected.
                connection.is_marked = marked
            connection.autocommit = False

    return ConnectionPool(
        url,
        kwargs={**CONNECT_PARAMETERS, "row_factory": dict_row, "cursor_factory": StableCursor},
        connection_class=_PooledConnection,
        min_size=0,
        max_size=_MAX_POOL_SIZE,
        max_idle=60,
        timeout=_WAIT_S,
        # Short: the pool waits longer after each failed attempt, and each caller tries again.
        reconnect_timeout=_WAIT_S,
        configure=configure,
        reset=_mark_returned,
        name=f"ytcaption-{role}",
        open=True,
    )
