"""What `migrate --plan` says of migrations, and that they do it."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from typer.testing import CliRunner

from resources.postgres import migrate as migrate_module
from resources.postgres import migration_plan
from resources.postgres.migrate import migrate
from resources.postgres.migration_files import Migration, migrations
from resources.postgres.migration_plan import MigrationPlan, TableChange, plan_migrations
from resources.postgres.urls import database_urls, with_database
from tests.resources.postgres.test_migrate import drop, settings_with
from tests.support.servers.postgres_servers import SERVERS, DatabaseServer
from ytcaption.domain.errors import DatabaseUnavailable, SetupError
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.main import app

pytestmark = [
    pytest.mark.slow,  # it starts a Postgres of its own
    pytest.mark.parametrize("database_server", SERVERS, indirect=True),
]

NEXT = migrations()[-1].number + 1
ROWS = 20_000


@pytest.fixture
def filled(database_server: DatabaseServer, tmp_path) -> Iterator[Settings]:
    """A database with many media and segments, analysed."""
    url = with_database(database_server.url, "planned")
    dagster = with_database(database_server.url, "planned_dagster")
    settings = settings_with(url, dagster_database_url=dagster, home=tmp_path / "home")
    migrate(settings)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "insert into ytcaption.media (id, kind, url) "
            "select 'direct-' || n, 'direct', 'https://example.org/' || n "
            "from generate_series(1, %s) as n",
            (ROWS,),
        )
        connection.execute("analyze ytcaption.media")
    yield settings
    drop(database_server, "planned", "planned_dagster")


def planned(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, *statements: str
) -> tuple[MigrationPlan, list[Migration]]:
    """Plan migrations that are not there yet; migrate() applies them afterwards."""
    new = [
        Migration(NEXT + place, f"{NEXT + place:04}_new.sql", text)
        for place, text in enumerate(statements)
    ]
    for module in (migrate_module, migration_plan):
        monkeypatch.setattr(module, "migrations", lambda: [*migrations(), *new])
    return plan_migrations(settings), new


def change_of(plan: MigrationPlan, place: int, table: str = "media") -> TableChange | None:
    """What a step does to a table."""
    changes = plan.steps[place].changes
    return next((change for change in changes if change.table == table), None)


def test_locks_and_their_causes_are_found(filled: Settings, monkeypatch: pytest.MonkeyPatch):
    """However a migration is written; sizes are those of the real tables, whose rows are not
    touched."""
    plan, new = planned(
        filled,
        monkeypatch,
        "alter table ytcaption.media add column note text",
        "alter table ytcaption.media add column mark uuid not null default gen_random_uuid()",
        "create index by_title on ytcaption.media (title)",
        "alter table ytcaption.media alter column url set not null",
        "do $$ begin update ytcaption.media set title = 'x'; end $$",
        "create table ytcaption.shelf (media_id text references ytcaption.media (id))",
        f"-- contracts: {NEXT:04}\nalter table ytcaption.media drop column note",
    )
    assert [step.name for step in plan.steps] == [*(each.name for each in new), "grants.sql"]
    adds, rewrites, indexes, checks, updates, refers, drops = (
        change_of(plan, place) for place in range(len(new))
    )
    assert adds and (adds.blocks, adds.is_rewritten) == ("reads and writes", False)
    assert adds.row_count == ROWS and adds.size_bytes > ROWS * 20
    assert adds.duration_s == (0, 0)
    assert rewrites and (rewrites.blocks, rewrites.is_rewritten) == ("reads and writes", True)
    assert 0 < rewrites.duration_s[0] < rewrites.duration_s[1]
    assert indexes and (indexes.blocks, indexes.new_indexes) == ("writes", ("by_title",))
    assert checks and (checks.blocks, checks.reads_all) == ("reads and writes", True)
    assert 0 < checks.duration_s[1] < rewrites.duration_s[1]
    assert updates and (updates.blocks, updates.changes_rows) == (None, True)
    assert refers and refers.blocks == "writes"
    assert drops and drops.blocks == "reads and writes"
    assert [step.contracts for step in plan.steps] == [*[None] * 6, NEXT, None]
    # Nothing has been done to the database itself.
    with psycopg.connect(database_urls(filled).admin) as connection:
        columns = connection.execute(
            "select count(*) from information_schema.columns where table_name = 'media' "
            "and column_name in ('note', 'mark')"
        ).fetchone()
        assert columns == (0,)
    migrate(filled)
    assert plan_migrations(filled).steps == ()


def test_what_cannot_be_applied_is_said_before(filled: Settings, monkeypatch: pytest.MonkeyPatch):
    """With the file and Postgres' own words."""
    with pytest.raises(SetupError, match=r'_new.sql cannot be applied .* column "colour" of'):
        planned(filled, monkeypatch, "alter table ytcaption.media drop column colour")


def test_the_command_prints_it(filled: Settings, monkeypatch: pytest.MonkeyPatch):
    """As text and as JSON; up to date, it says so."""
    monkeypatch.setenv("YTCAPTION_HOME", str(filled.home))
    for name in ("database_url", "dagster_database_url"):
        value = getattr(filled.storage, name).get_secret_value()
        monkeypatch.setenv(f"YTCAPTION_{name.upper()}", value)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["migrate", "--plan", *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    assert run() == "The database is up to date.\n"
    planned(filled, monkeypatch, "alter table ytcaption.media add column note text")
    text = run()
    assert f"{NEXT:04}_new.sql" in text
    assert "media: reads and writes wait for less than a second (about 20,000 rows, " in text
    assert "is only known when it runs" in text
    (step, _) = json.loads(run("--json"))["steps"]
    assert step["changes"][0]["blocks"] == "reads and writes"


def test_a_migration_lets_others_pass_while_it_waits(
    filled: Settings, monkeypatch: pytest.MonkeyPatch
):
    """A long transaction holds it up; statements that come later are not held up by it for longer
    than a lock is waited for, and it is applied in the end."""
    planned(filled, monkeypatch, "alter table ytcaption.media add column note text")
    monkeypatch.setattr(migrate_module, "LOCK_TIMEOUT_S", 0.2)
    monkeypatch.setattr(migrate_module, "_PAUSE_S", 0.1)
    url = database_urls(filled).admin
    read = "select count(*) from ytcaption.media where id = 'direct-1'"
    with psycopg.connect(url) as long, ThreadPoolExecutor(1) as pool:
        long.execute(read)
        migrating = pool.submit(migrate, filled)
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("set statement_timeout = '5s'")
            for _ in range(20):
                assert other.execute(read).fetchone() == (1,)
        assert not migrating.done()
        long.rollback()
        migrating.result(60)
    with psycopg.connect(url) as connection:
        connection.execute("select note from ytcaption.media limit 1")


def test_a_migration_gives_up_with_the_cause(filled: Settings, monkeypatch: pytest.MonkeyPatch):
    """Nothing of it is applied."""
    planned(filled, monkeypatch, "alter table ytcaption.media add column note text")
    monkeypatch.setattr(migrate_module, "LOCK_TIMEOUT_S", 0.05)
    monkeypatch.setattr(migrate_module, "_PAUSE_S", 0.01)
    with psycopg.connect(database_urls(filled).admin) as long:
        long.execute("select count(*) from ytcaption.media")
        with pytest.raises(DatabaseUnavailable, match=rf"{NEXT:04}_new.sql needs a table that"):
            migrate(filled)
