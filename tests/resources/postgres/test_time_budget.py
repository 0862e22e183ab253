"""How long a caller waits for a database that hangs, on a real Postgres."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from resources.postgres.connection import Postgres, close_pools
from resources.postgres.time_budget import answer_within, hang_noticed_within
from resources.postgres.urls import database_urls
from tests.support.frozen import frozen, read_only
from tests.support.patience import patience
from tests.support.servers.postgres_servers import DEBIAN_PROGRAMS, DatabaseServer
from tests.support.servers.tcp_proxy import tcp_proxy
from ytcaption.domain.errors import DatabaseReadOnly, DatabaseUnavailable
from ytcaption.settings.settings import Settings

pytestmark = pytest.mark.postgres


@contextmanager
def refused_within(seconds: float) -> Iterator[None]:
    """The block ends as without a database, in this time."""
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        yield
    assert time.monotonic() - began < seconds * patience()


def read(postgres: Postgres) -> None:
    with postgres.transaction() as connection:
        connection.execute("select 1")


@pytest.mark.long
def test_a_budget_ends_the_wait_for_a_server_that_hangs(
    postgres: Postgres, database_server: DatabaseServer
):
    """Also when the connection was used a moment ago, and where there is none yet."""
    read(postgres)
    with frozen(database_server):
        with refused_within(1.5), answer_within(1.0):
            read(postgres)
        with refused_within(1.5), answer_within(1.0):
            read(postgres)
    read(postgres)


def test_a_statement_in_progress_is_given_up(postgres: Postgres, database_server: DatabaseServer):
    """The server hangs in the middle of a transaction; its connection is not used again."""
    with refused_within(1.5), answer_within(1.0), postgres.transaction() as connection:
        connection.execute("select 1")
        with frozen(database_server):
            connection.execute("select 2")
    read(postgres)


@pytest.mark.slow
def test_without_a_budget_a_hang_is_distinguished_from_a_long_statement(
    postgres: Postgres, database_server: DatabaseServer
):
    """A server that answers a probe may take its time; one that does not has a few seconds."""
    with hang_noticed_within(0.6), postgres.transaction() as connection:
        connection.execute("select pg_sleep(1.5)")
    with frozen(database_server), refused_within(4.0), hang_noticed_within(1.0):
        read(postgres)
    read(postgres)


@pytest.mark.long
@pytest.mark.skipif(not DEBIAN_PROGRAMS, reason="needs Debian's Postgres")
@pytest.mark.parametrize("database_server", [*DEBIAN_PROGRAMS][:1], indirect=True)
def test_a_network_that_drops_packets(settings: Settings, database_server: DatabaseServer):
    """Everything is swallowed, nothing refused; afterwards it works again."""
    parameters = psycopg.conninfo.conninfo_to_dict(database_server.url)
    with tcp_proxy((str(parameters["host"]), int(parameters["port"]))) as proxy:
        behind = settings.changed(
            database_url=type(settings.storage.database_url)(
                psycopg.conninfo.make_conninfo(database_server.url, port=proxy.port)
            )
        )
        postgres = Postgres.from_settings(behind, "api")
        read(postgres)
        proxy.is_black_hole = True
        with refused_within(1.5), answer_within(1.0):
            read(postgres)
        with refused_within(5.0), hang_noticed_within(2.0):
            read(postgres)
        proxy.is_black_hole = False
        read(postgres)
        close_pools(database_urls(behind))


def test_a_read_only_server_refuses_changes_and_answers_reads(
    postgres: Postgres, database_server: DatabaseServer
):
    """The error is one that can be repeated later."""
    with read_only(database_server):
        read(postgres)
        with pytest.raises(DatabaseReadOnly) as caught, postgres.transaction() as connection:
            connection.execute("delete from ytcaption.checkpoint")
    assert caught.value.retryable
    with postgres.transaction() as connection:
        connection.execute("delete from ytcaption.checkpoint")


def test_every_connection_has_time_limits(postgres: Postgres):
    """Of the server, too: pooled connections, and those of locks and notifications."""
    shown = "select current_setting('statement_timeout') as statement, " + (
        "current_setting('lock_timeout') as lock, current_setting('timezone') as zone"
    )
    with postgres.transaction() as connection:
        assert connection.execute(shown).fetchone() == {
            "statement": "1min",
            "lock": "20s",
            "zone": "UTC",
        }
    with postgres.own_connection(90.0) as connection:
        assert connection.execute(shown).fetchone() == {
            "statement": "90s",
            "lock": "90s",
            "zone": "UTC",
        }
