"""The lake attached to another DuckDB: current, and read-only."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import psycopg
import pytest

from resources.lake.catalog import TranscriptCatalog
from resources.lake.extensions import load_extensions
from resources.lake.external_reader import READER, attach_statements, create_reader
from resources.postgres.urls import database_urls
from tests.support.lake_documents import make_document
from tests.support.servers.postgres_servers import embedded_server
from ytcaption.domain.errors import LakeUnavailable
from ytcaption.settings.settings import Settings


@pytest.fixture
def catalog(settings: Settings) -> TranscriptCatalog:
    """Return a lake with one transcript."""
    catalog = TranscriptCatalog.from_settings(settings)
    catalog.append(*make_document())
    return catalog


@pytest.fixture
def shell(settings: Settings, catalog: TranscriptCatalog) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a DuckDB after the statements that `ytcaption lake attach` prints."""
    create_reader(settings)
    with attached(settings) as shell:
        yield shell
    drop_reader(settings)


@contextmanager
def attached(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a DuckDB after these statements."""
    with duckdb.connect() as shell:
        load_extensions(
            shell, "ducklake", "postgres_scanner"
        )  # there is no network to install them
        for statement in attach_statements(settings):
            if not statement.startswith("install"):
                shell.execute(statement)
        yield shell


def drop_reader(settings: Settings) -> None:
    """Drop the role, which belongs to the server that other tests use too."""
    with psycopg.connect(database_urls(settings).admin, autocommit=True) as connection:
        if connection.execute("select from pg_roles where rolname = %s", (READER,)).fetchone():
            connection.execute(f"drop owned by {READER}")  # pyright: ignore
            connection.execute(f"drop role {READER}")  # pyright: ignore


@pytest.mark.slow
def test_attached_lake_shows_later_rows(
    shell: duckdb.DuckDBPyConnection, catalog: TranscriptCatalog
):
    """Tables have their names; rows added later are visible."""
    assert shell.execute("select count(*) from words").fetchall() == [(30,)]
    catalog.append(*make_document("second"))
    catalog.compact()
    titles = shell.execute("select title from media order by all").fetchall()
    assert titles == [("About first",), ("About second",)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "delete from words",
        "update media set title = 'x'",
        "insert into words select * from words",
        "drop table words",
        "create table lake.main.t as select 1 as i",
        "call ducklake_expire_snapshots('lake', older_than => now())",
    ],
)
def test_attached_lake_is_read_only(
    shell: duckdb.DuckDBPyConnection, catalog: TranscriptCatalog, statement: str
):
    """DuckDB refuses to write."""
    with pytest.raises(duckdb.Error):
        shell.execute(statement)
    assert catalog.query("select count(*) from words").rows == [(30,)]


@pytest.mark.slow
def test_role_cannot_write_without_read_only(
    settings: Settings, shell: duckdb.DuckDBPyConnection, catalog: TranscriptCatalog
):
    """Without `read_only`, Postgres refuses: the role can only read."""
    shell.execute("use memory")
    shell.execute("detach lake")
    [attach] = [each for each in attach_statements(settings) if each.startswith("attach")]
    shell.execute(attach.replace("read_only, ", ""))
    for statement in ("delete from lake.main.words", "drop table lake.main.words"):
        with pytest.raises(duckdb.Error, match="permission denied"):
            shell.execute(statement)
    assert catalog.query("select count(*) from words").rows == [(30,)]


@pytest.mark.long
def test_role_reads_only_the_catalog(settings: Settings, shell: duckdb.DuckDBPyConnection):
    """The role cannot read requests, keys and events."""
    with psycopg.connect(database_urls(settings).admin, autocommit=True) as connection:
        connection.execute(f"set role {READER}")  # pyright: ignore[reportArgumentType]
        assert connection.execute("select count(*) from lake.ducklake_table").fetchone()
        for table in ("ytcaption.api_key", "ytcaption.event", "ytcaption.media"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select * from {table}")  # pyright: ignore
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("delete from lake.ducklake_table")


@pytest.mark.slow
def test_embedded_server_lets_the_role_log_in(monkeypatch: pytest.MonkeyPatch):
    """There the role logs in itself; creating it twice does no harm."""
    monkeypatch.delenv("YTCAPTION_DATABASE_URL", raising=False)
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, embedded_server(Path(folder)):
        settings = Settings(home=Path(folder), _env_file=None)  # pyright: ignore
        TranscriptCatalog.from_settings(settings).append(*make_document())
        create_reader(settings)
        create_reader(settings)
        with attached(settings) as shell:
            assert shell.execute("select count(*) from words").fetchall() == [(30,)]
        [attach] = [each for each in attach_statements(settings) if each.startswith("attach")]
        assert f"user={READER}" in attach


def test_attach_statements_hold_no_password(settings: Settings):
    """libpq reads it from PGPASSWORD or its password file."""
    secret = "postgresql://me:much-too-secret@db.example:5433/captions"
    elsewhere = Settings(home=settings.home, database_url=secret, _env_file=None)  # pyright: ignore
    [attach] = [each for each in attach_statements(elsewhere) if each.startswith("attach")]
    assert "much-too-secret" not in attach
    assert "host=db.example" in attach
    assert f"-c role={READER}" in attach


def test_creating_the_reader_needs_a_lake(settings: Settings):
    """The error says that there is no lake yet."""
    with pytest.raises(LakeUnavailable, match="no lake yet"):
        create_reader(settings)
