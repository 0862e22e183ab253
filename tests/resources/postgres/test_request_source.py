"""Migration 0019: titles and links of the media are given to their owners, and the version before
it goes on working."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.rows import DictRow, dict_row

from resources.postgres.migrate import migrations
from resources.postgres.urls import with_database
from tests.support.servers.postgres_servers import DatabaseServer

BEFORE = """
insert into ytcaption.media (id, kind, url, title, info) values
    ('up', 'upload', null, 'annas file', '{"title": "annas file", "duration_s": 3.5}'),
    ('older', 'upload', null, null, '{"title": "only in the description"}'),
    ('file', 'direct', 'https://a.example/b.mp3?Signature=berts', null, '{"title": "b"}'),
    ('site', 'site', 'https://s.example/', 'title of a list', '{"title": "Published"}');
insert into ytcaption.transcription (id, media_id, options, priority)
select id || version, id, '{}', 'bulk' from ytcaption.media, (values ('.1'), ('.2')) as v (version);
"""
REQUESTS = (
    ("up.1", "anna"), ("up.1", "bert"), ("up.2", "anna"), ("up.2", "clara"), ("older.1", "anna"),
    ("file.1", "anna"), ("file.1", "bert"), ("site.1", "anna"), ("site.1", "bert"),
)  # fmt: skip
OLD_REQUEST = """
insert into ytcaption.request (transcription_id, priority, force, owner)
values (%s, 'bulk', false, %s) returning title, url
"""
"""As the version before writes it: it knows neither title nor url."""


@pytest.fixture
def connection(database_server: DatabaseServer) -> Iterator[Connection[DictRow]]:
    """A database of the version before, with requests of two owners, migrated."""
    name = "before_0019"
    with psycopg.connect(database_server.superuser_url, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        try:
            url = with_database(database_server.superuser_url, name)
            with Connection[DictRow].connect(
                url, autocommit=True, row_factory=dict_row
            ) as connection:
                connection.execute("create schema ytcaption")
                for migration in migrations():
                    if migration.name == "0019_request_source.sql":
                        connection.execute(BEFORE.encode())
                        for id, owner in REQUESTS:
                            connection.execute(
                                "insert into ytcaption.request (transcription_id, priority, force, "
                                "owner) values (%s, 'bulk', false, %s)",
                                (id, owner),
                            )
                    connection.execute(migration.statements.encode())
                yield connection
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.mark.long
def test_what_was_of_the_media_is_given_to_its_owner(connection: Connection[DictRow]):
    """A title to who requested the media first, a link to who requested it last."""
    rows = connection.execute(
        "select transcription_id, owner, title, url from ytcaption.request order by id"
    ).fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("up.1", "anna", "annas file", None),
        ("up.1", "bert", None, None),
        ("up.2", "anna", "annas file", None),
        ("up.2", "clara", None, None),
        ("older.1", "anna", "only in the description", None),
        ("file.1", "anna", None, None),
        ("file.1", "bert", None, "https://a.example/b.mp3?Signature=berts"),
        ("site.1", "anna", "title of a list", None),
        ("site.1", "bert", None, None),
    ]
    media = connection.execute(
        "select title, info from ytcaption.media where kind = 'upload' order by id desc"
    ).fetchall()
    assert media == [
        {"title": "annas file", "info": {"duration_s": 3.5}},  # the version before shows it
        {"title": "only in the description", "info": {}},
    ]


def test_the_version_before_goes_on_working(connection: Connection[DictRow]):
    """What it requests inherits its owner's title and link; a media item that it creates gives its
    title to the request that came with it, and to no later one."""

    def request(id: str, owner: str) -> tuple[str | None, str | None]:
        row = connection.execute(OLD_REQUEST, (id, owner)).fetchone()
        assert row is not None
        return row["title"], row["url"]

    assert request("up.2", "anna") == ("annas file", None)
    assert request("up.2", "bert") == (None, None)
    assert request("file.2", "bert") == (None, "https://a.example/b.mp3?Signature=berts")
    assert request("file.2", "anna") == (None, None)
    with connection.transaction():
        connection.execute(
            "insert into ytcaption.media (id, kind, title) values ('new', 'upload', 'berts new')"
        )
        connection.execute(
            "insert into ytcaption.transcription (id, media_id, options, priority) "
            "values ('new.1', 'new', '{}', 'bulk')"
        )
        assert request("new.1", "bert") == ("berts new", None)
    assert request("new.1", "anna") == (None, None)
