"""Dagster's storage with pooled connections, on a real Postgres."""

import time
from collections.abc import Iterator

import dagster as dg
import psycopg
import pytest
import sqlalchemy as db
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage

from resources.orchestration import storage as dagster_storage
from resources.postgres.urls import database_urls, libpq_url
from tests.support.patience import wait_for
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import dagster_instance

pytestmark = pytest.mark.postgres


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """As each of our processes opens it."""
    with dagster_instance(settings) as found:
        yield found


def backend(connect) -> int:
    """The server process of a connection of the storage."""
    with connect() as connection:
        return connection.execute(db.text("select pg_backend_pid()")).scalar_one()


def is_connected(settings: Settings, pid: int) -> bool:
    with psycopg.connect(libpq_url(database_urls(settings).dagster_storage)) as connection:
        row = connection.execute("select 1 from pg_stat_activity where pid = %s", (pid,)).fetchone()
        return row is not None


def test_one_connection_serves_all_of_the_storage(instance: dg.DagsterInstance):
    """Runs, events and ticks, one statement after the other."""
    runs, events = instance.run_storage, instance.event_log_storage
    assert isinstance(runs, PostgresRunStorage) and isinstance(events, PostgresEventLogStorage)
    first = backend(runs.connect)
    assert instance.get_runs_count() >= 0
    assert backend(events.index_connection) == first
    assert instance.all_instigator_state() is not None
    assert backend(runs.connect) == first


def test_a_connection_that_the_server_has_closed_is_replaced(
    settings: Settings, instance: dg.DagsterInstance
):
    """A restart of Postgres causes no error."""
    assert isinstance(instance.run_storage, PostgresRunStorage)
    lost = backend(instance.run_storage.connect)
    with psycopg.connect(libpq_url(database_urls(settings).dagster_storage)) as connection:
        connection.execute("select pg_terminate_backend(%s)", (lost,))
    assert instance.get_runs_count() >= 0
    assert backend(instance.run_storage.connect) != lost


def test_the_next_instance_reuses_the_connection(settings: Settings):
    """Each tick of a sensor makes an instance."""
    found = []
    for _ in range(2):
        with dagster_instance(settings) as instance:
            assert isinstance(instance.run_storage, PostgresRunStorage)
            found.append(backend(instance.run_storage.connect))
    assert found[0] == found[1]


def test_an_unused_connection_is_closed(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Some time after all instances have ended."""
    monkeypatch.setattr(dagster_storage, "LINGER_S", 0.2)
    with dagster_instance(settings) as other:
        with dagster_instance(settings) as instance:
            assert isinstance(instance.run_storage, PostgresRunStorage)
            kept = backend(instance.run_storage.connect)
        instance.dispose()  # twice does nothing
        time.sleep(0.4)
        assert is_connected(settings, kept)
        assert other.get_runs_count() >= 0
    wait_for(lambda: not is_connected(settings, kept), 5)
