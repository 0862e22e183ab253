"""What stands behind the address of a database: a server, a standby, or a connection pooler.

A pooler that gives each transaction another connection takes away what belongs to a connection:
roles, LISTEN, advisory locks and prepared statements. Requests would be lost without an error, so
such an address is refused when the system starts (docs/adr/security-rules.md#rule-58).
"""

import psycopg
from psycopg.rows import dict_row

from resources.postgres.connection import database_errors
from resources.postgres.time_budget import CONNECT_PARAMETERS, WatchedConnection, answer_within
from resources.postgres.urls import (
    SUPERUSER,
    database_name,
    database_urls,
    libpq_url,
    with_database,
)
from ytcaption.domain.errors import DatabaseUnavailable, SetupError
from ytcaption.settings.settings import Settings

_CHECK_S = 15.0

_KIND = """
select pg_backend_pid() as backend, pg_is_in_recovery() as is_standby,
    current_setting('transaction_read_only') = 'on' as is_read_only
"""


def check_servers(settings: Settings) -> None:
    """Check every database server that the settings name; the embedded server needs no check.

    Raises:
        SetupError: it cannot be used, for the reason in the message.
        DatabaseUnavailable: no answer.
    """
    urls, storage = database_urls(settings), settings.storage
    named = {
        "YTCAPTION_DATABASE_URL": (storage.database_url, urls.admin),
        "YTCAPTION_DAGSTER_DATABASE_URL": (
            storage.dagster_database_url,
            libpq_url(urls.dagster_storage),
        ),
        "YTCAPTION_LAKE_DATABASE_URL": (storage.lake_database_url, urls.lake),
    }
    for setting, (value, url) in named.items():
        if value is not None:
            check_server(url, setting)


def check_server(url: str, setting: str) -> None:
    """Check one server.

    Args:
        setting: named in the message.

    Raises:
        SetupError, DatabaseUnavailable: as `check_servers`.
    """
    with database_errors(), answer_within(_CHECK_S):
        url, connection = _opened(url, setting)
        with connection as first:
            before = first.execute(_KIND).fetchone()
            assert before is not None
            if before["is_standby"]:
                raise SetupError(
                    f"{setting} names a standby, which accepts no changes. Name the primary; with "
                    "several hosts, add target_session_attrs=read-write."
                )
            if before["is_read_only"]:
                raise SetupError(
                    f"{setting} names a database that is set read-only "
                    "(default_transaction_read_only). Make it writable."
                )
            if _is_shared(url, first, before["backend"]):
                raise SetupError(
                    f"{setting} names a connection pooler in transaction mode, which loses roles, "
                    "locks and notifications between transactions. Name the server itself, or set "
                    "the pooler to session mode (PgBouncer: pool_mode = session)."
                )


def unreachable(url: str, setting: str | None = None) -> DatabaseUnavailable:
    """Return the error for a database, named by a setting, that cannot be connected to."""
    of_setting = f" of {setting}" if setting else ""
    return DatabaseUnavailable(
        f"Postgres does not answer for the database {database_name(url)}{of_setting}. Check that "
        "it runs, and that the address, user and password are right."
    )


def _opened(url: str, setting: str) -> tuple[str, WatchedConnection]:
    """Return a URL with a connection; if the database is missing, which `migrate` creates, those of
    the database that every server has."""
    try:
        return url, _connected(url)
    except psycopg.OperationalError as error:
        beside = with_database(url, SUPERUSER)
        try:
            return beside, _connected(beside)
        except psycopg.OperationalError:
            raise unreachable(url, setting) from error


def _is_shared(url: str, first: WatchedConnection, backend: int) -> bool:
    """Whether a connection of ours has no connection to the server of its own.

    In a transaction the second connection holds one: the first one's, which was idle, or another,
    and then the first one's next statement is on a third.
    """
    with _connected(url) as second, second.transaction():
        if _backend(second) == backend:
            return True
        return _backend(first) != backend


def _backend(connection: WatchedConnection) -> int:
    row = connection.execute("select pg_backend_pid() as backend").fetchone()
    assert row is not None
    return row["backend"]


def _connected(url: str) -> WatchedConnection:
    return WatchedConnection.connect(
        url, autocommit=True, row_factory=dict_row, **CONNECT_PARAMETERS
    )
