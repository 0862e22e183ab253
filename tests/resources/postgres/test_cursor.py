"""Statements outlive columns that a migration adds."""

from collections.abc import Iterator

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg import sql

from api.app import create_app
from resources.auth.api_keys import ApiKeys
from resources.postgres.connection import Postgres
from resources.postgres.cursor import returns_all_columns
from tests.support.servers.postgres_servers import DatabaseServer
from ytcaption.settings.settings import Settings

OFTEN = 7
"""Executions after which psycopg has prepared a statement."""


@pytest.mark.unit
@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("select * from t", True),
        ("select t.* from t", True),
        ("select t.*, u.name from t", True),
        ("select a, t.* from t", True),
        ("select now(),\n    * from t", True),
        ("select *, a <= now() as b from t", True),
        ("insert into t values (1) returning *", True),
        (b"update t set a = 1 RETURNING t.*", True),
        ("select distinct * from t", True),
        ("select count(*) from t", False),
        ("select a * 2 from t", False),
        ("select jsonb_agg(x) from t where a = b * c", False),
        ("select a, b from t", False),
    ],
)
def test_statements_that_return_all_columns_are_recognised(statement: str, expected: bool):
    """Products and counts are none."""
    assert returns_all_columns(statement) is expected


@pytest.fixture
def more_columns(database_server: DatabaseServer) -> Iterator[psycopg.Connection]:
    """A connection that adds a column to each table; they are dropped at the end."""
    with psycopg.connect(database_server.superuser_url, autocommit=True) as connection:
        yield connection
        change_tables(connection, "drop column if exists added_later")


def change_tables(connection: psycopg.Connection, change: str) -> None:
    """Alter each table of ours."""
    tables = connection.execute(
        "select tablename from pg_tables "
        "where schemaname = 'ytcaption' and tablename <> 'migration'"
    ).fetchall()
    for (table,) in tables:
        connection.execute(
            sql.SQL("alter table ytcaption.{} " + change).format(sql.Identifier(table))  # pyright: ignore
        )


def test_a_read_that_was_executed_often_goes_on(
    postgres: Postgres, more_columns: psycopg.Connection
):
    """In a transaction of its own, as the first statement of one, and as a later one."""

    def read() -> None:
        postgres.rows("select * from ytcaption.media where id = %(id)s", {"id": "a"})
        with postgres.transaction() as connection:
            connection.execute("select * from ytcaption.transcription where id = %s", ("a",))
            connection.execute("select request.* from ytcaption.request where owner = %s", ("a",))

    for _ in range(OFTEN):
        read()
    change_tables(more_columns, "add column added_later text")
    read()


def test_other_statements_stay_prepared(postgres: Postgres):
    """Planning costs more than executing."""
    with postgres.transaction() as connection:
        for _ in range(OFTEN):
            connection.execute("select id from ytcaption.media where id = %s", ("a",))
            connection.execute("select * from ytcaption.media where id = %s", ("a",))
        rows = connection.execute("select statement from pg_prepared_statements").fetchall()
    assert [row["statement"] for row in rows] == ["select id from ytcaption.media where id = $1"]


def test_keys_are_read_with_columns_of_a_later_version(
    settings: Settings, more_columns: psycopg.Connection
):
    """An API of the previous version authenticates with them."""
    change_tables(more_columns, "add column added_later text")
    keys = ApiKeys(Postgres.from_settings(settings, "admin"))
    made = keys.create("one", ["read"])
    assert [row.id for row in keys.all()] == [made.row.id]


@pytest.mark.long
def test_an_api_that_runs_survives_columns_that_are_added(
    settings: Settings, more_columns: psycopg.Connection
):
    """As in a rolling deploy: the next version's migrations run beside it."""
    number = 0

    def use(client: TestClient) -> list[tuple[str, int]]:
        nonlocal number
        number += 1
        answers = []

        def ask(method: str, path: str, **body: object) -> dict:
            response = client.request(method, path, json=body or None)
            answers.append((f"{method} {path.partition('?')[0]}", response.status_code))
            assert response.status_code < 500, (method, path, response.text)
            return response.json() if response.text else {}

        path = "/api/v1/transcriptions"
        url = f"https://www.youtube.com/watch?v=aaaaaaaa{number:03}"
        id = ask("POST", path, url=url)["id"]
        answers.clear()
        ask("POST", path, url=url)
        ask("GET", f"{path}/{id}")
        ask("GET", f"{path}/{id}/history")
        ask("GET", f"{path}?limit=5")
        ask("PATCH", f"{path}/{id}", pinned=True)
        ask("POST", f"{path}/{id}/cancel")
        ask("GET", f"/api/v1/media/youtube-aaaaaaaa{number:03}/versions")
        ask("GET", "/api/v1/search?q=word")
        hook = ask("POST", "/api/v1/webhooks", url="https://93.184.216.34/hook")["id"]
        ask("GET", f"/api/v1/webhooks/{hook}")
        ask("GET", "/api/v1/webhooks")
        ask("DELETE", f"/api/v1/webhooks/{hook}")
        ask("GET", "/api/v1/channels")
        ask("POST", "/api/v1/admin/pause", part="download", reason="a test")
        ask("GET", "/api/v1/admin/overview")
        ask("POST", "/api/v1/admin/resume", part="download")
        # Ids differ from round to round.
        return [(name.replace(id, "ID").replace(hook, "HOOK"), status) for name, status in answers]

    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        before = [use(client) for _ in range(OFTEN)]
        change_tables(more_columns, "add column added_later text")
        after = use(client)
    statuses = [status for _, status in before[-1]]
    assert [status for _, status in after] == statuses
    assert statuses.count(404) == 0, before[-1]
