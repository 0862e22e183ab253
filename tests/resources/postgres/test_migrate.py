"""Databases, roles and schemas, on every Postgres that is here."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.resources import files

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from resources.embeddings.store import EmbeddingCounts, EmbeddingStore
from resources.postgres import migrate as migrate_module
from resources.postgres.connection import Postgres, close_pools
from resources.postgres.migrate import grants, migrate, migrations
from resources.postgres.urls import ROLES, database_urls, with_database
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.replay import check_replay
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.resources.transcripts import make_transcript
from tests.support.embedding import TOY
from tests.support.library import add_said
from tests.support.rows import recent_transcriptions
from tests.support.servers.postgres_servers import (
    SERVERS,
    DatabaseServer,
)
from ytcaption.domain.errors import DatabaseUnavailable, SetupError
from ytcaption.domain.events import EventType
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.webhook import EVENT_TYPES
from ytcaption.settings.settings import Settings

pytestmark = pytest.mark.parametrize("database_server", SERVERS, indirect=True)


def settings_with(url: str, **overrides: object) -> Settings:
    """Of a server, without a `.env`."""
    return Settings(_env_file=None, database_url=url, **overrides)  # pyright: ignore


@pytest.fixture
def empty(database_server: DatabaseServer) -> Iterator[Settings]:
    """Settings that name databases which do not exist yet; both are dropped afterwards."""
    url = with_database(database_server.url, "fresh")
    dagster = with_database(database_server.url, "fresh_dagster")
    settings = settings_with(url, dagster_database_url=dagster)
    yield settings
    close_pools(database_urls(settings))
    drop(database_server, "fresh", "fresh_dagster")


@pytest.fixture
def poor(database_server: DatabaseServer) -> Iterator[Settings]:
    """Settings of a user who owns two databases and may make neither roles nor databases."""
    socket = conninfo_to_dict(database_server.superuser_url) | {"user": "poor"}
    with psycopg.connect(database_server.superuser_url, autocommit=True) as connection:
        connection.execute("create role poor login")
        for name in ("poor", "poor_dagster"):
            connection.execute(
                sql.SQL("create database {} owner poor").format(sql.Identifier(name))
            )
    # Over the socket, which both servers trust.
    settings = settings_with(
        make_conninfo(**socket | {"dbname": "poor"}),
        dagster_database_url=make_conninfo(**socket | {"dbname": "poor_dagster"}),
    )
    yield settings
    close_pools(database_urls(settings))
    drop(database_server, "poor", "poor_dagster")
    with psycopg.connect(database_server.superuser_url, autocommit=True) as connection:
        connection.execute("drop role poor")


def drop(server: DatabaseServer, *databases: str) -> None:
    """Drop them, even if clients are connected."""
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        for name in databases:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )


def rows(url: str, statement: str) -> list[tuple[object, ...]]:
    """What a query gives."""
    with psycopg.connect(url) as connection:
        return connection.execute(statement).fetchall()  # pyright: ignore


@pytest.mark.long
def test_everything_is_made(empty: Settings):
    """Both databases, the schemas, the ledger with each file."""
    migrate(empty)
    urls = database_urls(empty)
    assert {row[0] for row in rows(urls.admin, "select nspname from pg_namespace")} >= {
        "ytcaption",
        "lake",
    }
    ledger = rows(urls.admin, "select number, name from ytcaption.migration order by number")
    assert ledger == [(0, "grants.sql"), *((item.number, item.name) for item in migrations())]
    assert rows(with_database(urls.admin, "fresh_dagster"), "select 1") == [(1,)]
    store = RequestStore.from_settings(empty, "api")
    store.submit(MediaSource("youtube-abc", "site"), TranscriptionOptions("base"))


@pytest.mark.long
def test_running_it_again_changes_nothing(empty: Settings):
    """The ledger is as it was, and so are rows."""
    migrate(empty)
    store = RequestStore.from_settings(empty, "api")
    store.submit(MediaSource("youtube-abc", "site"), TranscriptionOptions("base"))
    before = rows(database_urls(empty).admin, "select * from ytcaption.migration order by 1")
    migrate(empty)
    assert (
        rows(database_urls(empty).admin, "select * from ytcaption.migration order by 1") == before
    )
    assert len(recent_transcriptions(store.postgres)) == 1


@pytest.mark.parametrize("number", [15, 18])
@pytest.mark.long
def test_embeddings_of_before_stay(empty: Settings, monkeypatch: pytest.MonkeyPatch, number: int):
    """A transcript that cannot be embedded is noted from now on; all indexes are made alike."""
    known = migrations()
    needed = "0019_request_source.sql"  # by the program that submits below
    before = [each for each in known if each.number < number or each.name == needed]
    with monkeypatch.context() as patch:
        patch.setattr("resources.postgres.migrate.migrations", lambda: before)
        # Today's rights are on today's tables.
        none = replace(grants(), statements="select 1")
        patch.setattr("resources.postgres.migrate.grants", lambda: none)
        migrate(empty)
    if rows(database_urls(empty).admin, "select to_regclass('ytcaption.embedding')") == [(None,)]:
        pytest.skip("this server has no pgvector")
    store = RequestStore.from_settings(empty, "admin")
    done, failed = add_said(store, "done", "a puppy"), add_said(store, "failed", "the sea")
    embeddings = EmbeddingStore(store.postgres)
    model_id = embeddings.model_id(TOY)
    with store.postgres.transaction() as connection:
        connection.execute(
            "insert into ytcaption.embedding_done values (%s, %s, %s)",
            (done, model_id, get_transcription(store.postgres, done).document_sha256),
        )
    for _ in range(2):
        migrate(empty)
    embeddings.record_failed(failed, model_id)
    assert embeddings.counts(TOY.name) == EmbeddingCounts(waiting=0, failed=1)
    assert embeddings.waiting(model_id, again=True) == [failed]
    embeddings.model_id(replace(TOY, revision="b2"))
    made = "select reloptions from pg_class where relname like 'embedding_of_model_%'"
    assert rows(database_urls(empty).admin, made) == [(["ef_construction=256"],)] * 2


@pytest.mark.long
def test_four_at_once_make_it_once(empty: Settings):
    """None of them fails, and each file is applied once."""
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: migrate(empty), range(4)))
    ledger = rows(database_urls(empty).admin, "select count(*) from ytcaption.migration")
    assert ledger == [(len(migrations()) + 1,)]


def test_changed_grants_are_applied_again(empty: Settings):
    """Rights that are missing come back when the file is another than the one recorded."""
    migrate(empty)
    admin = database_urls(empty).admin
    with psycopg.connect(admin) as connection:
        connection.execute("revoke select on ytcaption.media from ytcaption_api")
        connection.execute("update ytcaption.migration set sha256 = 'old' where number = 0")
    migrate(empty)
    right = "select has_table_privilege('ytcaption_api', 'ytcaption.media', 'select')"
    assert rows(admin, right) == [(True,)]


@pytest.mark.long
def test_a_file_that_fails_leaves_nothing(empty: Settings, monkeypatch: pytest.MonkeyPatch):
    """A numbered file is one transaction: its first statement is taken back with its last, and the
    next run applies it whole."""
    from resources.postgres import migrate as module

    migrate(empty)
    known = migrations()
    number = known[-1].number + 1
    broken = module.Migration(number, "x.sql", "create table ytcaption.x (y int); select 1/0;")
    right = module.Migration(number, "x.sql", "create table ytcaption.x (y int);")
    admin = database_urls(empty).admin
    monkeypatch.setattr(module, "migrations", lambda: [*known, broken])
    with pytest.raises(Exception, match="refused"):
        migrate(empty)
    assert rows(admin, "select to_regclass('ytcaption.x')") == [(None,)]
    monkeypatch.setattr(module, "migrations", lambda: [*known, right])
    migrate(empty)
    assert rows(admin, "select max(number) from ytcaption.migration") == [(number,)]


@pytest.mark.long
def test_a_database_of_a_later_version_is_left_alone(empty: Settings):
    """An older ytcaption says so and changes nothing."""
    migrate(empty)
    with psycopg.connect(database_urls(empty).admin) as connection:
        connection.execute("insert into ytcaption.migration values (9999, 'later.sql', 'x')")
    with pytest.raises(SetupError, match="later version"):
        migrate(empty)


def test_the_roles_are_no_superusers(database_server: DatabaseServer):
    """None may make roles or databases, replicate or pass row security."""
    found = rows(
        database_server.superuser_url,
        "select rolname, rolsuper or rolcreaterole or rolcreatedb or rolreplication or "
        "rolbypassrls from pg_roles where rolname like 'ytcaption%' order by 1",
    )
    assert {role for role, _ in found} >= set(ROLES.values())  # `lake attach` makes one more
    assert not any(is_mighty for _, is_mighty in found)


@pytest.mark.long
def test_a_user_without_rights_goes_on_alone(poor: Settings):
    """Who may not make roles works with the one there is, and everything works."""
    migrate(poor)
    migrate(poor)
    store = RequestStore.from_settings(poor, "api")
    id = store.submit(MediaSource("youtube-abc", "site"), TranscriptionOptions("base"))
    run = RequestStore.from_settings(poor, "dagster")
    assert RunStore(postgres=run.postgres).claim(id.transcription.id, "run-1", 1).run_id == "run-1"
    assert rows(database_urls(poor).lake, "select to_regnamespace('lake')::text") == [("lake",)]


def test_a_database_that_may_not_be_made(poor: Settings):
    """The message is the statement that an administrator has to run."""
    url = with_database(database_urls(poor).admin, "rich")
    with pytest.raises(SetupError, match="create database rich owner poor"):
        migrate(settings_with(url))


def test_a_schema_that_may_not_be_made(poor: Settings, database_server: DatabaseServer):
    """The error tells a user to own the database."""
    with psycopg.connect(database_server.superuser_url, autocommit=True) as connection:
        connection.execute("alter database poor owner to current_user")
    with pytest.raises(SetupError, match="owner"):
        migrate(poor)


def test_a_server_that_is_not_there(database_server: DatabaseServer):
    """No answer is a retryable error without the password."""
    with pytest.raises(DatabaseUnavailable) as caught:
        migrate(settings_with("postgresql://ada:hunter2@127.0.0.1:1/captions"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.long
def test_a_lake_elsewhere_gets_its_schema_there(empty: Settings, database_server: DatabaseServer):
    """The lake's own database is made and has schema lake; ours has none."""
    url = with_database(database_server.url, "fresh_lake")
    settings = empty.changed(lake_database_url=type(empty.storage.database_url)(url))
    try:
        migrate(settings)
        assert rows(url, "select to_regnamespace('lake')::text") == [("lake",)]
        assert rows(database_urls(empty).admin, "select to_regnamespace('lake')") == [(None,)]
    finally:
        drop(database_server, "fresh_lake")


def test_numbers_of_migrations_have_no_gap_or_twin(database_server: DatabaseServer):
    """They are 1, 2, 3 ..., and every file of SQL but the grants has one."""
    assert [item.number for item in migrations()] == list(range(1, len(migrations()) + 1))
    names = {file.name for file in files("resources.postgres").joinpath("migrations").iterdir()}
    assert names == {item.name for item in migrations()} | {"grants.sql", "hashes.txt", "earlier"}


def test_dagsters_storage_works_there(settings: Settings):
    """SQLAlchemy reaches database `dagster` by psycopg2, and may make tables."""
    from sqlalchemy import create_engine, text

    engine = create_engine(database_urls(settings).dagster_storage)
    try:
        with engine.begin() as connection:
            assert connection.dialect.driver == "psycopg2"
            assert connection.execute(text("select current_database()")).scalar() == "dagster"
            connection.execute(text("create table probe (x int)"))
            connection.execute(text("drop table probe"))
    finally:
        engine.dispose()


@pytest.mark.long
def test_what_is_older_than_the_breaker_is_given_its_site_and_owner(
    database_server: DatabaseServer,
):
    """Also what waits in the queue; what has its audio waits for no site."""
    media = (
        "insert into ytcaption.media (id, kind, url, audio_key) values "
        "('a', 'site', 'https://www.youtube.com/watch?v=a', null), "
        "('b', 'direct', 'http://example.org:8080/b.mp3', 'audio/b.mp3'), "
        "('c', 'upload', null, null)"
    )
    transcriptions = (
        "insert into ytcaption.transcription (id, media_id, options, priority) "
        "select id, id, '{}', 'bulk' from ytcaption.media"
    )
    request = (
        "insert into ytcaption.request (transcription_id, priority, force, owner) "
        "values ('a', 'bulk', false, 'key:x')"
    )
    read = (
        "select t.id, t.owner, site, source_site from ytcaption.transcription t "
        "join ytcaption.media m on m.id = media_id order by 1"
    )
    with psycopg.connect(database_server.superuser_url, autocommit=True) as connection:
        connection.execute("create database older")
    try:
        url = with_database(database_server.superuser_url, "older")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create schema ytcaption")
            for migration in migrations():
                if migration.name == "0005_breaker.sql":
                    for statement in (media, transcriptions, request):
                        connection.execute(statement)
                connection.execute(migration.statements.encode())
            found = connection.execute(read).fetchall()
    finally:
        drop(database_server, "older")
    assert found == [
        ("a", "key:x", "youtube.com", "youtube.com"),
        ("b", "local", "example.org:8080", None),
        ("c", "local", None, None),
    ]


OLD = """
insert into ytcaption.media (id, kind) values ('youtube-a', 'site'), ('youtube-b', 'site');
insert into ytcaption.transcription
    (id, media_id, options, priority, status, attempt, run_id, document_key, document_sha256, duration_s,
     word_count, started_at, completed_at)
values
    ('a', 'youtube-a', '{"model": "base"}', 'bulk', 'completed', 3, 'run-1', 'transcripts/a.json', 'ab', 12.3,
     7, '2026-11-24 10:00:00.123457+00', '2026-11-24 10:00:09.000001+00'),
    ('b', 'youtube-b', '{"model": "base"}', 'interactive', 'queued', 1, null, null, null, null, null, null, null);
insert into ytcaption.request (transcription_id, priority, force) values ('b', 'interactive', false);
insert into ytcaption.webhook (owner, url, event_types)
values ('local', 'https://example.org/', '{transcription.started,transcription.completed}');
insert into ytcaption.event (event_type, transcription_id, media_id, run_id, data)
select event_type, 'a', 'youtube-a', 'run-1', data from (values
    (1, 'request.created', '{}'::jsonb), (2, 'transcription.queued', '{"attempt": 3}'),
    (3, 'transcription.started', '{}'), (4, 'audio.stored', '{"kind": "site", "duration_s": 12.3}'),
    (5, 'transcript.stored', '{}'), (6, 'transcription.completed', '{}'),
    (7, 'transcription.retry_queued', '{}'), (8, 'transcription.failed', '{}'),
    (9, 'transcription.given_back', '{}'), (10, 'transcription.released', '{}'),
    (11, 'transcription.canceled', '{}'), (12, 'request.withdrawn', '{}')
) as event(place, event_type, data) order by place;
insert into ytcaption.event (event_type, transcription_id, media_id)
values ('transcription.erased', 'gone', 'youtube-c');
insert into ytcaption.event (event_type) values ('breaker.opened'), ('breaker.probed'), ('breaker.closed');
"""  # noqa: E501
"""As an installation has left it that is older than the event history."""


@pytest.mark.long
def test_events_of_old_get_their_names_and_rows_a_snapshot(
    empty: Settings, monkeypatch: pytest.MonkeyPatch
):
    """In the order in which they happened; the rows of before follow from events, too, and go on.
    Sums and webhooks do not start again."""
    known = migrations()
    with monkeypatch.context() as patch:
        older = [item for item in known if item.number < 6]
        patch.setattr("resources.postgres.migrate.migrations", lambda: older)
        real = migrate_module._apply  # today's grants speak of today's columns
        patch.setattr(migrate_module, "_apply", lambda c, item: item in older and real(c, item))
        migrate(empty)
    admin = database_urls(empty).admin
    with psycopg.connect(admin) as connection:
        connection.execute(OLD.encode())
    before = rows(admin, "select event_id from ytcaption.event order by timestamp, event_id")
    totals = rows(admin, "select * from ytcaption.total order by 1, 2")

    migrate(empty)

    found = rows(
        admin,
        "select event_id, event_type, schema_version from ytcaption.event order by number",
    )
    assert {row[0] for row in found[:-2]} == {row[0] for row in before}
    assert [row[1:] for row in found] == [(name, 1) for name in (
        "Requested", "Queued", "Started", "AudioDownloaded", "TranscriptStored",
        "TranscriptionCompleted", "Retried", "TranscriptionFailed", "GivenBack", "Released",
        "Canceled", "RequestWithdrawn", "Erased", "BreakerOpened", "BreakerProbed",
        "BreakerClosed",
    )] + [("SnapshotTaken", 2)] * 2  # fmt: skip
    assert set(EventType) - {row[1] for row in found} == {
        EventType.TRANSCRIPTION_CREATED, EventType.RESULT_DISCARDED, EventType.PROGRESS,
        EventType.DOCUMENT_REBUILT,
        EventType.CAPTIONS_DOWNLOADED,
    }  # fmt: skip
    assert rows(admin, "select * from ytcaption.total order by 1, 2") == totals
    statement = "select event_type from ytcaption.delivery order by id"
    deliveries = rows(admin, statement)
    with psycopg.connect(admin) as connection, pytest.raises(psycopg.Error, match="append-only"):
        connection.execute("update ytcaption.event set event_type = 'x'")

    postgres = Postgres.from_settings(empty, "admin")
    report = check_replay(postgres)
    assert (report.differences, report.transcription_count) == ((), 3)
    store = RequestStore.from_settings(empty, "dagster")
    RunStore(postgres=store.postgres).claim("b", "run-2", 1)
    RunStore(postgres=store.postgres).transcript_stored(
        "b", "run-2", make_transcript("b"), "transcripts/b.json", "ef" * 32
    )
    RunStore(postgres=store.postgres).complete("b", "run-2")
    assert check_replay(postgres).differences == ()
    assert rows(admin, statement)[len(deliveries) :] == [
        ("transcription.started",),
        ("transcription.completed",),
    ]


def test_webhooks_receive_the_events_that_they_may_choose(settings: Settings):
    """The names in the database are those of the API."""
    admin = database_urls(settings).admin
    with psycopg.connect(admin) as connection:
        found = connection.execute(
            "select ytcaption.webhook_event(name) from unnest(%s::text[]) as name",
            ([each.value for each in EventType],),
        ).fetchall()
    assert {row[0] for row in found} - {None} == set(EVENT_TYPES)
