"""Migrations never change, and the previous version works with the next schema."""

import hashlib
from collections.abc import Iterator
from importlib.resources import files

import psycopg
import pytest
from psycopg import Connection, sql

from resources.postgres.ledger import EARLIER_TEXTS
from resources.postgres.migration_files import Migration, bridges, migrations
from resources.postgres.urls import with_database
from tests.support.catalog import Schema, contractions
from tests.support.history import git, landed_migrations, migration_files, need_history
from tests.support.servers.postgres_servers import DatabaseServer

IMMUTABLE_SINCE = "de97a21"
"""Since this commit no migration has changed."""

EXPANDING_SINCE = 19
"""Since this migration the previous version goes on working."""


@pytest.mark.unit
def test_the_files_have_the_listed_hashes():
    """Who changes a file, or adds one, has to change the list as well, where a reviewer sees it."""
    listed = files("resources.postgres").joinpath("migrations", "hashes.txt").read_text()
    lines = [f"{each.sha256}  {each.name}" for each in migrations()]
    assert listed.splitlines() == lines, (
        "A migration that was on main never changes: write a new one. After adding one: "
        "cd resources/postgres/migrations && sha256sum 0*.sql > hashes.txt"
    )


@pytest.mark.unit
def test_the_files_are_those_of_all_earlier_commits():
    """Each migration that ever landed has its text of then, or is one of the earlier texts."""
    need_history()
    today = {each.name: each.sha256 for each in migrations()}
    contents: dict[str, str] = {}
    is_immutable = False
    for commit in landed_migrations():
        is_immutable = is_immutable or IMMUTABLE_SINCE.startswith(commit)
        for name, blob in migration_files(commit).items():
            if blob not in contents:
                contents[blob] = hashlib.sha256(git("cat-file", "blob", blob)).hexdigest()
            if is_immutable:
                assert today.get(name) == contents[blob], f"{name} is not what {commit} has"
            else:
                assert contents[blob] in {*today.values(), *EARLIER_TEXTS}, (commit, name)
    assert is_immutable
    assert set(EARLIER_TEXTS) <= set(contents.values())


@pytest.mark.unit
def test_each_earlier_text_is_brought_forward():
    """There is a file for each number, and none for texts of today."""
    assert set(bridges()) == set(EARLIER_TEXTS.values())
    assert not {each.sha256 for each in migrations()} & set(EARLIER_TEXTS)


@pytest.mark.unit
def test_the_numbers_have_no_gaps():
    """Each number is there once."""
    assert [each.number for each in migrations()] == list(range(1, len(migrations()) + 1))


@pytest.mark.unit
def test_two_files_with_one_number_are_refused(monkeypatch: pytest.MonkeyPatch):
    """Their order would be that of the file system."""
    twice = [Migration(1, "0001_a.sql", ""), Migration(1, "0001_b.sql", "")]
    monkeypatch.setattr("resources.postgres.migration_files._numbered", lambda folder: twice)
    with pytest.raises(ValueError, match=r"0001_a\.sql and 0001_b.sql have the same number"):
        migrations()


@pytest.mark.unit
@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("alter table t add column c text;", None),
        ("-- Old programs wrote `c`.\n-- contracts: 0019\nalter table t drop column c;", 19),
        ("-- it contracts: 0019", None),
    ],
)
def test_a_contraction_says_what_programs_must_know(text: str, number: int | None):
    """In a line of its own."""
    assert Migration(20, "0020_x.sql", text).contracts == number


@pytest.fixture
def schema(database_server: DatabaseServer) -> Iterator[Connection]:
    """A connection to a migrated database; what is done there is undone."""
    with psycopg.connect(database_server.superuser_url) as connection:
        yield connection
        connection.rollback()


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("alter table ytcaption.media drop column title", ["column media.title is gone"]),
        (
            "alter table ytcaption.media rename column extractor to found_by",
            ["column media.extractor is gone"],
        ),
        ("drop table ytcaption.checkpoint", ["table checkpoint is gone"]),
        ("alter table ytcaption.pace rename to speed", ["table pace is gone"]),
        ("drop view ytcaption.busy_site", ["view busy_site is gone"]),
        (
            "alter table ytcaption.segment alter column index type bigint",
            ["column segment.index changes its type: integer to bigint"],
        ),
        (
            "alter table ytcaption.media add column size_m integer not null",
            ["column media.size_m is new, not null and has no default"],
        ),
        ("alter table ytcaption.media alter column url set not null", ["column media.url becomes"]),
        (
            "alter table ytcaption.media add constraint named check (title <> '')",
            ["constraint ytcaption.media.named is new"],
        ),
        (
            "create unique index one_url on ytcaption.media (url)",
            ["unique index ytcaption.one_url"],
        ),
        (
            "drop function ytcaption.search_channel(jsonb)",
            ["function ytcaption.search_channel(jsonb) is gone"],
        ),
        ("revoke select on ytcaption.pace from ytcaption_api", ["right pace ytcaption_api SELECT"]),
        (
            "do $$ begin execute 'alter table ytcaption.media drop column title'; end $$",
            ["column media.title is gone"],
        ),
        (
            "alter table ytcaption.site_day drop constraint site_day_pkey",
            ["unique index ytcaption.site_day_pkey is gone"],
        ),
        # What adds breaks nobody.
        ("alter table ytcaption.media add column note text", []),
        ("alter table ytcaption.media add column rank integer not null default 0", []),
        ("create table ytcaption.shelf (id text primary key check (id <> ''))", []),
        ("create index on ytcaption.media (title)", []),
        ("drop index ytcaption.media_expr_idx", []),
    ],
)
def test_what_a_migration_takes_away_is_found(schema: Connection, statement: str, found: list[str]):
    """By its effect, however it is written."""
    before = Schema.of(schema)
    schema.execute(statement.encode())
    taken = contractions(before, Schema.of(schema))
    assert len(taken) == len(found), taken
    assert all(line.startswith(start) for line, start in zip(taken, found, strict=True)), taken


@pytest.mark.long
def test_the_previous_version_works_with_each_schema(database_server: DatabaseServer):
    """A migration takes nothing away and makes nothing stricter, unless it is marked as the
    contraction of an earlier one."""
    with psycopg.connect(database_server.superuser_url, autocommit=True) as connection:
        connection.execute("drop database if exists expanding")
        connection.execute("create database expanding template template0")
    url = with_database(database_server.superuser_url, "expanding")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create schema ytcaption")
        before = Schema({})
        for migration in migrations():
            with connection.transaction():
                connection.execute(migration.statements.encode())
            if migration.number < EXPANDING_SINCE - 1:
                continue
            after = Schema.of(connection)
            taken = contractions(before, after)
            before, is_first = after, not before.objects
            if is_first:
                continue
            assert migration.contracts is not None or not taken, (
                f"{migration.name} breaks programs of the previous version: {taken}. Add first, "
                "and take away in a later version, with a line `-- contracts: NUMBER` that names "
                "the migration which programs must know."
            )
            assert (migration.contracts or 0) < migration.number
    with psycopg.connect(database_server.superuser_url, autocommit=True) as connection:
        name = sql.Identifier("expanding")
        connection.execute(sql.SQL("drop database {} with (force)").format(name))
