"""While a restore has begun and not ended, every entry point keeps away from the databases."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from resources.backup.journal import Journal, restore_lock
from resources.postgres.connection import Postgres, close_pools
from resources.postgres.embedded import running_postgres
from resources.postgres.migrate import migrate
from resources.postgres.restore_mark import (
    OLD_MARKER,
    mark_database,
    require_settled,
    unmark_database,
)
from resources.postgres.urls import database_urls
from tests.ytcaption_assets.cli.admin.test_backup import ytcaption
from ytcaption.domain.errors import DatabaseUnavailable, SetupError
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.status_report import read_status
from ytcaption_assets.definitions import build_definitions


def begin(settings: Settings) -> None:
    """Leave the journal of a restore that was cut short."""
    (settings.home / "restore").mkdir(parents=True)
    Journal("2026-11-30T00:00:00+00:00").save(settings)


def begin_old(settings: Settings) -> None:
    """Leave the marker of a restore by version 0.1, which emptied the databases first."""
    settings.home.mkdir(parents=True)
    (settings.home / OLD_MARKER).write_text(json.dumps({"made_at": "2026-11-30"}))


def open_database(settings: Settings) -> None:
    """Open the database as `ytcaption transcribe` and others do."""
    with running_postgres(settings):
        pytest.fail("the database was opened")


@pytest.mark.parametrize("begun", [begin, begin_old])
@pytest.mark.parametrize("entry", [create_app, build_definitions, open_database])
def test_an_entry_point_refuses_an_unfinished_restore(
    settings: Settings, begun: Callable[[Settings], None], entry: Callable[[Settings], object]
):
    """The API, Dagster's processes and runs, and all that opens the database."""
    begun(settings)
    with pytest.raises(SetupError, match="was cut short"):
        entry(settings)
    assert "was cut short" in (read_status(settings).problem or "")


@pytest.mark.parametrize("command", ["worker", "notifier"])
def test_a_process_refuses_an_unfinished_restore(settings: Settings, command: str):
    """Those that `up` starts and operators may start themselves."""
    begin(settings)
    with pytest.raises(SetupError, match="was cut short"):
        ytcaption(command)


def test_a_command_ends_an_interrupted_restore_first(settings: Settings):
    """It says what it did."""
    begin(settings)
    result = ytcaption("migrate")
    assert result.exit_code == 0 and "The installation is as it was before" in result.output
    require_settled(settings)
    assert not (settings.home / "restore" / "journal.json").exists()


def test_a_restore_in_progress_is_waited_for(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Nobody undoes it meanwhile."""
    begin(settings)
    with restore_lock(settings), pytest.raises(SetupError, match="is being restored by process"):
        require_settled(settings)
    monkeypatch.setattr("resources.backup.journal._PATIENCE_S", 0.1)
    with restore_lock(settings), pytest.raises(SetupError, match="is being restored by process"):
        ytcaption("migrate")
    assert Journal.read(settings) is not None


def test_a_restore_by_the_earlier_version_is_repeated(settings: Settings):
    """Its databases are incomplete: no command may go on with them."""
    begin_old(settings)
    with pytest.raises(SetupError, match="Repeat `ytcaption restore FOLDER`"):
        ytcaption("migrate")


@pytest.fixture
def marked(settings: Settings) -> Iterator[Settings]:
    """An installation whose database a restore elsewhere has put in place and not yet opened."""
    close_pools(database_urls(settings))
    with psycopg.connect(database_urls(settings).admin, autocommit=True) as connection:
        mark_database(connection)
        yield settings
        unmark_database(connection)


@pytest.mark.long
def test_a_database_that_is_not_open_yet_answers_nobody(marked: Settings):
    """On other machines, too. The API is not ready, and answers 503."""
    for role in ("admin", "api", "dagster", "lake"):
        postgres = Postgres.from_settings(marked, role)
        with pytest.raises(DatabaseUnavailable, match="is being restored"):
            postgres.rows("select 1 as one", {})
        with (
            pytest.raises(DatabaseUnavailable, match="is being restored"),
            postgres.own_connection(),
        ):
            pytest.fail("a connection was opened")
    with pytest.raises(DatabaseUnavailable, match="is being restored"):
        migrate(marked)
    with TestClient(create_app(marked), base_url="http://127.0.0.1") as client:
        response = client.get("/api/v1/transcriptions")
        assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")
        assert client.get("/readyz").status_code == 503
        with psycopg.connect(database_urls(marked).admin, autocommit=True) as connection:
            unmark_database(connection)
        assert client.get("/api/v1/transcriptions").status_code == 200


def test_the_journal_survives_only_as_a_whole(tmp_path: Path):
    """One that cannot be read stops everything instead of being ignored."""
    settings = Settings(home=tmp_path, _env_file=None)  # pyright: ignore[reportCallIssue]
    assert Journal.read(settings) is None
    (tmp_path / "restore").mkdir()
    journal = Journal("2026-11-30", "exchanging", ["a"], ["b"], has_key=True)
    journal.save(settings)
    assert Journal.read(settings) == journal
    (tmp_path / "restore" / "journal.json").write_text("{")
    with pytest.raises(SetupError, match="cannot be read"):
        Journal.read(settings)
