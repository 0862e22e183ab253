"""The embedded database of another major version of Postgres is brought to today's, once."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from resources.postgres.connection import close_pools
from resources.postgres.embedded import EmbeddedServer, running_postgres
from resources.postgres.migrate import migrate
from resources.postgres.programs import MAJOR, programs_of, run_program, server_user
from resources.postgres.upgrade import upgrade_database
from resources.postgres.urls import SUPERUSER, database_urls
from tests.ytcaption_assets.cli.admin.test_backup import (
    Quiet,
    Writer,
    at_home,
    results,
    ytcaption,
)
from ytcaption.domain.errors import SetupError
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import dagster_instance

OLD = [major for major in ("15", "16") if programs_of(major) is not None]
"""The wheel has the programs of 16; those of 15 are Debian's."""


def make_old_data(settings: Settings, major: str) -> EmbeddedServer:
    """Create an empty database of another major version."""
    server = EmbeddedServer.of(settings)
    server.make_folders()
    server.socket.mkdir(mode=0o700, exist_ok=True)
    server.log.touch(mode=0o600)
    programs, owner = programs_of(major), server_user(server.data)
    (server.folder / "new").mkdir(mode=0o700)
    if owner is not None:
        for path in (server.folder / "new", server.socket, server.log):
            shutil.chown(path, *owner)
    arguments = ("-D", "new", "--encoding=UTF8", "--locale=C", "--auth=trust", "-U", SUPERUSER)
    run_program("initdb", arguments, folder=server.folder, owner=owner, programs=programs)
    (server.folder / "new").rename(server.data)
    return replace(server, programs=programs)


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path, as socket paths must be."""
    folder = Path(tempfile.mkdtemp(prefix="ytcu", dir="/tmp"))
    yield folder / "home"
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "major", [OLD[0], *(pytest.param(each, marks=pytest.mark.slow) for each in OLD[1:])]
)
def test_the_data_of_another_version_is_brought_over(
    home: Path, monkeypatch: pytest.MonkeyPatch, major: str
):
    """Every start says what to do; afterwards all is there, and the old data is kept."""
    with at_home(home, monkeypatch) as settings:
        old = make_old_data(settings, major)
        old.start()
        migrate(settings)
        ids = [Writer(settings).complete(number) for number in range(2)]
        with dagster_instance(settings) as instance:
            instance.add_dynamic_partitions("transcriptions", ids)
        before = results(settings)
        close_pools(database_urls(settings))
        old.stop()
        expected = f"was made by Postgres {major}.* Run `ytcaption upgrade-database`"
        for command in ("migrate", "doctor"):
            with pytest.raises(SetupError, match=expected):
                ytcaption(command)
        done = ytcaption("upgrade-database")
        assert done.exit_code == 0 and f"from Postgres {major} to {MAJOR}" in done.output
        with running_postgres(settings):
            migrate(settings)
            assert results(settings) == before
            with dagster_instance(settings) as instance:
                assert instance.get_dynamic_partitions("transcriptions") == ids
            with psycopg.connect(database_urls(settings).api, autocommit=True) as connection:
                assert connection.info.server_version // 10_000 == int(MAJOR)
                assert connection.execute("select count(*) from ytcaption.media").fetchone() == (2,)
        kept = home / "postgres" / f"data-{major}"
        assert (kept / "PG_VERSION").read_text().strip() == major
        assert "needs no upgrade" in ytcaption("upgrade-database").output


@pytest.mark.long
def test_a_kill_between_the_renamings_is_ended_by_the_next_start(home: Path):
    """Without the data of its name no empty database is made."""
    settings = Settings(home=home, _env_file=None)  # pyright: ignore[reportCallIssue]
    with running_postgres(settings), psycopg.connect(database_urls_admin(settings)) as connection:
        connection.execute("create table upgraded ()")
    (home / "postgres" / "data").rename(home / "postgres" / "upgraded")
    with running_postgres(settings), psycopg.connect(database_urls_admin(settings)) as connection:
        connection.execute("select from upgraded")
    assert not (home / "postgres" / "upgraded").exists()


def database_urls_admin(settings: Settings) -> str:
    """Return the URL of the database that every server has."""
    return EmbeddedServer.of(settings).url(SUPERUSER)


@pytest.mark.parametrize(
    ("version", "programs", "message"),
    [
        ("9", None, "apt install postgresql-9"),
        ("16", Path("/usr"), "does not have the program postgres of version 16"),
        ("19", None, "is later than the 18 of this installation"),
    ],
)
def test_without_fitting_programs_it_says_how_to_get_them(
    tmp_path: Path, version: str, programs: Path | None, message: str
):
    """Nothing has changed then."""
    settings = Settings(home=tmp_path, _env_file=None)  # pyright: ignore[reportCallIssue]
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text(f"{version}\n")
    with pytest.raises(SetupError, match=message):
        upgrade_database(settings, Quiet().step, programs)
    assert sorted(path.name for path in data.iterdir()) == ["PG_VERSION"]


def test_without_an_embedded_database_there_is_nothing_to_upgrade(tmp_path: Path):
    """A server is upgraded by its own tools; a wrong home is named."""
    with pytest.raises(SetupError, match=f"no database in {tmp_path}"):
        upgrade_database(Settings(home=tmp_path, _env_file=None), Quiet().step)  # pyright: ignore
    settings = Settings(home=tmp_path, database_url="postgresql:///x", _env_file=None)  # pyright: ignore
    with pytest.raises(SetupError, match="YTCAPTION_DATABASE_URL is set"):
        upgrade_database(settings, Quiet().step)
