"""Databases and backups of every past schema are brought up to date, with all that is in them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from resources.maintenance.check import Installation, examine
from resources.maintenance.check_registry import ALL_CHECKS
from resources.object_store.store import ObjectStore
from resources.postgres.connection import Postgres, close_pools
from resources.postgres.embedded import running_postgres
from resources.postgres.ledger import compare, read_ledger
from resources.postgres.migrate import migrate, migrations
from resources.postgres.urls import database_urls, with_database
from resources.search.service import Search
from resources.transcriptions.reads import completed_ids, get_transcription, status_counts
from resources.transcriptions.replay import check_replay
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.segments import stored_segments
from resources.transcriptions.store import RequestStore
from tests.support.catalog import Schema
from tests.support.old_schemas import old_commits, old_database, old_objects, unpack_backup
from tests.support.servers.postgres_servers import DatabaseServer
from tests.ytcaption_assets.cli.admin.test_backup import at_home, ytcaption
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import dagster_instance, prepare_dagster_home

SPOKEN = [
    "Ask not what your country can do for you,",
    "ask what you can do for your country.",
    "In Zürich the weather is good today.",
]
RENUMBERED = ["734a032", "ad02d57", "c15cded"]
EDITED = ["d266edd", "5d86af7", "ec0400b", "174d344", "19f0c4f", "e72096e", "bc9b723", "f745111"]


@pytest.fixture(scope="module")
def fresh(database_servers: Callable[[str], DatabaseServer]) -> Schema:
    """The schema of a new installation."""
    with psycopg.connect(database_servers("embedded").superuser_url) as connection:
        return Schema.of(connection)


@contextmanager
def old(commit: str, server: DatabaseServer, home: Path) -> Iterator[Settings]:
    """Yield the settings of an installation whose database a commit made."""
    names = (f"old_{commit}", f"old_{commit}_dagster")
    url, dagster = (with_database(server.superuser_url, name) for name in names)
    settings = Settings(  # pyright: ignore[reportCallIssue]
        _env_file=None, home=home, database_url=url, dagster_database_url=dagster
    )
    with psycopg.connect(server.superuser_url, autocommit=True) as connection:
        for name in map(sql.Identifier, names):
            connection.execute(sql.SQL("create database {} template template0").format(name))
        try:
            with psycopg.connect(url) as made:
                made.execute(old_database(commit).encode())
                # The dump has no rights: the migrations grant them again.
                made.execute("delete from ytcaption.migration where number = 0")
            objects = ObjectStore.from_settings(settings)
            for key, content in old_objects(commit):
                objects.write_bytes(key, content)
            yield settings
        finally:
            close_pools(database_urls(settings))
            for name in map(sql.Identifier, names):
                connection.execute(sql.SQL("drop database {} with (force)").format(name))


def migrate_by_number(settings: Settings) -> None:
    """Do what older versions did: apply every file whose number the ledger lacks, and fail where
    one fails."""
    with psycopg.connect(database_urls(settings).admin, autocommit=True) as connection:
        applied = {entry.number for entry in read_ledger(connection)}
        for migration in migrations():
            if migration.number in applied:
                continue
            with connection.transaction():
                connection.execute(migration.statements.encode())
                connection.execute(
                    "insert into ytcaption.migration (number, name, sha256) values (%s, %s, %s)",
                    (migration.number, migration.name, migration.sha256),
                )


def assert_upgraded(settings: Settings, fresh: Schema) -> None:
    """Check that schema, ledger, rows, events and search are those of today."""
    with psycopg.connect(database_urls(settings).admin) as connection:
        assert Schema.of(connection).differences(fresh) == []
        ledger = [(entry.number, entry.sha256) for entry in read_ledger(connection)[1:]]
        assert ledger == [(each.number, each.sha256) for each in migrations()]
        kept = {
            table: connection.execute(f"select count(*) from ytcaption.{table}".encode()).fetchone()
            for table in ("api_key", "webhook", "tombstone", "channel", "channel_item")
        }
        places = connection.execute(
            "select media_id from ytcaption.channel_item order by place"
        ).fetchall()
    assert places in ([], [("youtube-newest",), ("youtube-older",)])
    assert kept["channel"] == ((1,) if places else (0,))
    assert all(count in ((0,), (1,), (2,)) for count in kept.values())
    postgres = Postgres.from_settings(settings, "api")
    assert status_counts(postgres) == {
        status: int(status.value in ("completed", "queued", "canceled"))
        for status in TranscriptionStatus
    }
    (done,) = completed_ids(postgres)
    assert [segment.text for segment in stored_segments(postgres, done)] == SPOKEN
    for words in ("zurich weather", '"what you can do"', "countries"):
        page = Search(postgres).page(words)
        assert [result.media.source.media_id for result in page.items] == ["youtube-done"], words
    row = get_transcription(postgres, done)
    assert row.document_key is not None
    ObjectStore.from_settings(settings).read_bytes(row.document_key, row.document_sha256)
    run_store = RunStore.from_settings(settings, "dagster")
    submitted = RequestStore.from_settings(settings, "api").submit(
        MediaSource("youtube-new", "site", "https://youtu.be/new", "Youtube"),
        TranscriptionOptions("base"),
    )
    run_store.claim(submitted.transcription.id, "run-2", submitted.transcription.attempt)
    assert check_replay(Postgres.from_settings(settings, "admin")).differences == ()


@pytest.mark.long
@pytest.mark.parametrize("commit", old_commits())
def test_every_past_schema_is_upgraded(
    commit: str, database_server: DatabaseServer, fresh: Schema, tmp_path: Path
):
    """It becomes the schema of a new installation, and what was in it can be read and found."""
    with old(commit, database_server, tmp_path / "home") as settings:
        migrate(settings)
        assert_upgraded(settings, fresh)
        migrate(settings)  # changes nothing


@pytest.mark.slow
@pytest.mark.parametrize("commit", [*RENUMBERED, *EDITED])
def test_a_schema_that_a_later_version_could_not_upgrade_is_upgraded(
    commit: str, database_server: DatabaseServer, fresh: Schema, tmp_path: Path
):
    """After an attempt: the migrations up to the one that failed, or all on a wrong base."""
    with old(commit, database_server, tmp_path / "home") as settings:
        try:
            migrate_by_number(settings)
        except psycopg.Error:
            has_failed = True
        else:
            has_failed = False
        with psycopg.connect(database_urls(settings).admin) as connection:
            state = compare(read_ledger(connection), migrations())
            assert has_failed or Schema.of(connection).differences(fresh)
        assert state.replaced
        migrate(settings)
        assert_upgraded(settings, fresh)


@pytest.mark.slow
@pytest.mark.parametrize("commit", ["ad02d57", "19f0c4f", "c15cded"])
def test_doctor_finds_an_upgraded_installation_in_order(
    commit: str, database_server: DatabaseServer, tmp_path: Path
):
    """Once it has put into the lake what the archive has no lake for."""
    with old(commit, database_server, tmp_path / "home") as settings:
        migrate(settings)
        prepare_dagster_home(settings)
        with dagster_instance(settings) as instance:
            installation = Installation.of(settings, instance)
            repaired = {
                check.code
                for check in ALL_CHECKS
                if examine(installation, check, repair=True).found
            }
            assert repaired <= {"lake_differs", "row_without_partition"}, repaired
            for check in ALL_CHECKS:
                finding = examine(installation, check, repair=False)
                assert (check.code, finding.found, finding.problem) == (check.code, (), None)


@pytest.mark.slow
def test_an_old_backup_is_restored(fresh: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Made when today's migration 8 was 9."""
    folder = unpack_backup("caf9016", tmp_path / "old")
    with at_home(tmp_path / "home", monkeypatch, YTCAPTION_EMBEDDINGS="off") as settings:
        restored = ytcaption("restore", str(folder))
        assert restored.exit_code == 0, restored.output
        with running_postgres(settings):
            assert_upgraded(settings, fresh)
