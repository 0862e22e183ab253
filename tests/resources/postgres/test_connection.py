"""Transactions, their errors, and what each part may do, on every Postgres that is here."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

import psycopg
import pytest

from resources.postgres.connection import Postgres, Role
from resources.transcriptions.reads import get_media, get_transcription, status_counts
from resources.transcriptions.run_settlement import settle_attempt, settle_run, settle_silent
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.segments import stored_segments
from resources.transcriptions.store import RequestStore
from tests.resources.transcripts import AUDIO, INFO, make_transcript
from tests.support.rows import recent_transcriptions
from tests.support.servers.postgres_servers import (
    SERVERS,
    DatabaseServer,
)
from tests.support.transcription_events import transcription_events
from ytcaption.domain.errors import DatabaseUnavailable, SetupError, StorageError
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus
from ytcaption.settings.settings import Settings

pytestmark = pytest.mark.parametrize("database_server", SERVERS, indirect=True)

SOURCE = MediaSource("youtube-abc", "site", "https://www.youtube.com/watch?v=abc", "Youtube")
OPTIONS = TranscriptionOptions("base")


def test_an_exception_takes_everything_back(postgres: Postgres, request_store: RequestStore):
    """What a transaction wrote before an exception is not there; the exception comes through."""
    id = request_store.submit(SOURCE, OPTIONS).transcription.id
    with pytest.raises(ZeroDivisionError), postgres.transaction() as connection:
        connection.execute("update ytcaption.transcription set error_code = 'x'")
        raise ZeroDivisionError
    assert get_transcription(request_store.postgres, id).error_code is None


def test_settings_come_from_the_environment(settings: Settings):
    """A resource that Dagster makes from its fields reaches the same database and shows no
    secret."""
    postgres = Postgres(role="dagster")
    with postgres.transaction() as connection:
        row = connection.execute("select current_user, current_setting('timezone') as zone")
        assert row.fetchone() == {"current_user": "ytcaption_dagster", "zone": "UTC"}
    assert settings.storage.database_url is not None
    assert settings.storage.database_url.get_secret_value() not in repr(postgres.model_dump())


def test_the_error_of_a_refused_statement_has_no_text_of_it(postgres: Postgres):
    """Neither SQL nor values nor Postgres's own words reach a person."""
    with pytest.raises(StorageError) as caught, postgres.transaction() as connection:
        connection.execute("select 1 / (%s - 1)", (1,))
    assert "select" not in str(caught.value) and "zero" not in str(caught.value)
    assert isinstance(caught.value.__cause__, psycopg.Error)


def test_a_database_without_our_schema_is_a_matter_of_setting_up(
    settings: Settings, database_server: DatabaseServer
):
    """The message names the command."""
    elsewhere = settings.changed(
        database_url=type(settings.storage.database_url)(
            database_server.url.replace("/ytcaption", "/postgres")
        )
    )
    with pytest.raises(SetupError, match="ytcaption migrate"):
        recent_transcriptions(Postgres.from_settings(elsewhere, "admin"))


def cut_all(superuser: psycopg.Connection) -> None:
    """End every connection but this one, and wait until that has arrived here."""
    superuser.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
        "where pid <> pg_backend_pid() and backend_type = 'client backend'"
    )
    time.sleep(0.2)


@pytest.mark.long
def test_a_connection_that_was_cut_is_replaced(
    request_store: RequestStore, database_server: DatabaseServer
):
    """Idle connections that the server ended are not given out; one cut in use is told as
    retryable."""
    recent_transcriptions(request_store.postgres)
    with psycopg.connect(database_server.superuser_url, autocommit=True) as superuser:
        cut_all(superuser)
        assert recent_transcriptions(request_store.postgres) == []
        with pytest.raises(DatabaseUnavailable), request_store.postgres.transaction() as connection:
            cut_all(superuser)
            connection.execute("select 1")
        assert recent_transcriptions(request_store.postgres) == []


@pytest.mark.long
def test_a_pool_full_of_cut_connections_costs_no_wait(
    request_store: RequestStore, database_server: DatabaseServer
):
    """After a restart of the server all are lost: a read finds a good one before its time is up,
    which the pool's own pauses, doubling from one second, would have used."""
    with ExitStack() as held:
        for _ in range(6):
            held.enter_context(request_store.postgres.transaction())
    with psycopg.connect(database_server.superuser_url, autocommit=True) as superuser:
        cut_all(superuser)
    assert recent_transcriptions(request_store.postgres) == []


@pytest.mark.long
def test_more_threads_than_connections(request_store: RequestStore):
    """Thirty threads wait for each other's connections and none fails."""
    errors: list[BaseException] = []

    def read() -> None:
        try:
            for _ in range(10):
                recent_transcriptions(request_store.postgres)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_forked_child_has_connections_of_its_own(request_store: RequestStore):
    """Neither process disturbs the other's."""
    id = request_store.submit(SOURCE, OPTIONS).transcription.id
    child = os.fork()
    if child == 0:
        try:
            found = [get_transcription(request_store.postgres, id).id for _ in range(20)] == [
                id
            ] * 20
        except BaseException:
            found = False
        os._exit(0 if found else 1)
    for _ in range(20):
        assert get_transcription(request_store.postgres, id).id == id
    assert os.waitpid(child, 0)[1] == 0
    assert get_transcription(request_store.postgres, id).id == id


Use = Callable[[RequestStore, str], object]


def finished(store: RequestStore, id: str) -> None:
    """A run, from claim to completion."""
    RunStore(postgres=store.postgres).claim(id, "run-1", 1)
    RunStore(postgres=store.postgres).progress(id, "run-1", "download", 1, 2)
    RunStore(postgres=store.postgres).audio_stored(id, "run-1", INFO, AUDIO)
    RunStore(postgres=store.postgres).transcript_stored(
        id, "run-1", make_transcript(id), "transcripts/x.json", "ef" * 32
    )
    RunStore(postgres=store.postgres).complete(id, "run-1")


def failed(store: RequestStore, id: str) -> None:
    """A run that fails, and everything that settles."""
    RunStore(postgres=store.postgres).claim(id, "run-1", 1)
    RunStore(postgres=store.postgres).release(id, "run-1")
    RunStore(postgres=store.postgres).claim(id, "run-2", 2)
    RunStore(postgres=store.postgres).fail(id, "run-2", "x", "x", True, 4)
    settle_attempt(store.postgres, id, 3, "x", "x", True, 4)
    RunStore(postgres=store.postgres).claim(id, "run-4", 4)
    settle_run(store.postgres, "run-4", "x", "x", True, 4)
    settle_silent(store.postgres, 60, 4)


READS: dict[str, Use] = {
    "get": lambda store, id: get_transcription(store.postgres, id),
    "media": lambda store, id: get_media(store.postgres, SOURCE.media_id),
    "segments": lambda store, id: stored_segments(store.postgres, id),
    "events": lambda store, id: transcription_events(store.postgres, id),
    "counts": lambda store, id: status_counts(store.postgres),
    "list": lambda store, id: recent_transcriptions(store.postgres),
    "due": lambda store, id: store.due(1),
    "wait": lambda store, id: store.wait_for_work(1),
}
ASKS: dict[str, Use] = {
    "submit": lambda store, id: store.submit(SOURCE, TranscriptionOptions("tiny")),
    "share": lambda store, id: store.submit(SOURCE, OPTIONS),
    "force": lambda store, id: store.submit(SOURCE, OPTIONS, force=True),
}
CANCELS: dict[str, Use] = {"cancel": lambda store, id: store.cancel(id)}
RUNS: dict[str, Use] = {"finish": finished, "fail": failed}

MAY: dict[Role, dict[str, Use]] = {
    "api": READS | ASKS | CANCELS,
    "dagster": READS | ASKS | CANCELS | RUNS,
}
MAY_NOT: dict[Role, dict[str, Use]] = {
    "api": {"finish": finished},
    "lake": READS | ASKS | CANCELS | RUNS,
}


@pytest.mark.parametrize(("role", "what"), [(role, what) for role in MAY for what in MAY[role]])
def test_each_part_can_do_its_job(
    request_store: RequestStore, settings: Settings, role: Role, what: str
):
    """api takes requests, reads and cancels; dagster, too, for channels, and runs and settles."""
    id = request_store.submit(SOURCE, OPTIONS).transcription.id
    MAY[role][what](RequestStore.from_settings(settings, role), id)


@pytest.mark.parametrize(
    ("role", "what"), [(role, what) for role in MAY_NOT for what in MAY_NOT[role]]
)
def test_no_part_can_do_anothers(
    request_store: RequestStore, settings: Settings, role: Role, what: str
):
    """api stores no transcripts, lake sees nothing of ours."""
    id = request_store.submit(SOURCE, OPTIONS).transcription.id
    with pytest.raises(SetupError, match="no right"):
        MAY_NOT[role][what](RequestStore.from_settings(settings, role), id)


@pytest.mark.parametrize("role", ["api", "dagster", "lake"])
@pytest.mark.parametrize(
    "statement",
    [
        "delete from ytcaption.event",
        "update ytcaption.event set event_type = 'x'",
        "truncate ytcaption.event",
        "alter table ytcaption.event disable trigger all",
        "drop table ytcaption.request",
        "create table ytcaption.more (x int)",
        "create table public.more (x int)",
        "update ytcaption.transcription set options = '{}'",
        "update ytcaption.transcription set media_id = 'x'",
        "update ytcaption.migration set number = 9",
        "create role more",
        "copy (select 1) to program 'true'",
        "select pg_read_file('/etc/hostname')",
        "create schema more",
    ],
)
def test_no_part_is_an_administrator(settings: Settings, role: Role, statement: str):
    """No part removes or rewrites what happened, changes a table, or reaches the machine."""
    postgres = Postgres.from_settings(settings, role)
    with pytest.raises(SetupError, match="no right"), postgres.transaction() as connection:
        connection.execute(statement)  # pyright: ignore


@pytest.mark.parametrize("role", ["dagster", "lake"])
@pytest.mark.parametrize("table", ["transcription", "media", "request"])
def test_only_the_api_erases(settings: Settings, role: Role, table: str):
    """Rows of transcriptions and media go by an erasure, and by nothing that a run does."""
    postgres = Postgres.from_settings(settings, role)
    with pytest.raises(SetupError, match="no right"), postgres.transaction() as connection:
        connection.execute(f"delete from ytcaption.{table}")  # pyright: ignore


def test_the_lake_has_a_schema_of_its_own(settings: Settings):
    """lake makes and drops tables there; api and dagster do not see them."""
    with Postgres.from_settings(settings, "lake").transaction() as connection:
        connection.execute("create table lake.ducklake_probe (x int)")
        connection.execute("insert into lake.ducklake_probe values (1)")
    for role in ("api", "dagster"):
        with (
            pytest.raises(SetupError, match="no right"),
            Postgres.from_settings(settings, role).transaction() as connection,
        ):
            connection.execute("select * from lake.ducklake_probe")


def test_all_states_are_known_to_the_table(
    request_store: RequestStore, database_server: DatabaseServer
):
    """The table's check and the enumeration name the same states."""
    request_store.submit(SOURCE, OPTIONS)
    with psycopg.connect(database_server.superuser_url) as connection:
        row = connection.execute(
            "select pg_get_constraintdef(oid) from pg_constraint "
            "where conname = 'transcription_status_check'"
        ).fetchone()
    assert row is not None
    assert {status.value for status in TranscriptionStatus} == {
        part for part in row[0].split("'") if part.isalpha() and part.islower() and part != "text"
    }


def test_a_read_on_a_lost_connection_is_made_on_another(
    request_store: RequestStore, database_server: DatabaseServer
):
    """One that was cut a moment ago, which nothing has told yet, costs a read nothing."""
    postgres = request_store.postgres
    with psycopg.connect(database_server.superuser_url, autocommit=True) as superuser:
        for _ in range(20):
            assert postgres.rows("select %(n)s::int as n", {"n": 1}) == [{"n": 1}]
            superuser.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where pid <> pg_backend_pid() and backend_type = 'client backend'"
            )
        with request_store.postgres.transaction() as connection:
            assert connection.autocommit is False


@pytest.mark.slow
def test_a_cut_connection_is_noticed_without_asking_it(
    request_store: RequestStore, database_server: DatabaseServer
):
    """The server's end of it shows on the socket: writes get another one."""
    for _ in range(5):
        recent_transcriptions(request_store.postgres)
        with psycopg.connect(database_server.superuser_url, autocommit=True) as superuser:
            superuser.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
                "where pid <> pg_backend_pid() and backend_type = 'client backend'"
            )
        request_store.submit(SOURCE, OPTIONS)
