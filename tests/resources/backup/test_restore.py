"""Whatever kills a restore, the installation is the one before or the one of the backup."""

import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg import sql

import resources.backup.databases
import resources.backup.recovery
import resources.backup.restore
from resources.backup.create import make_backup
from resources.backup.databases import StagedDatabases
from resources.backup.journal import Journal
from resources.backup.recovery import settle
from resources.backup.restore import restore_backup
from resources.lake.catalog import TranscriptCatalog
from resources.lake.documents import stored_document
from resources.lake.verify import LakeReport
from resources.object_store.store import ObjectStore, document_key
from resources.postgres.connection import Postgres
from resources.postgres.embedded import running_postgres
from resources.postgres.migrate import migrate
from resources.postgres.restore_mark import journal_path
from resources.postgres.urls import database_urls, libpq_url, with_database
from resources.transcriptions.reads import completed_ids
from tests.support.forked import forked, in_child
from tests.support.transcripts import make_transcript, spoken
from tests.ytcaption_assets.cli.admin.test_backup import Quiet, Writer
from ytcaption.domain.errors import SetupError
from ytcaption.domain.media.media import MediaInfo, MediaSource
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import dagster_instance

KILLS = int(os.environ.get("RESTORE_KILLS", "30"))


class Installation:
    """An embedded home with two backups of different contents.

    Attributes:
        states: name of each backup -> digest of the installation that it restores.
        present: name of the one that the home now is.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = Settings(home=root / "home", _env_file=None)  # pyright: ignore
        self.states: dict[str, str] = {}
        self.present = "second"

    def make(self) -> None:
        """Fill it. What has connections runs in children, since a restore wants to be alone."""
        assert in_child(partial(self._make, "first")) == 0
        self.states["first"] = self.digest()
        assert in_child(partial(self._make, "second")) == 0
        self.states["second"] = self.digest()
        assert self.states["first"] != self.states["second"]

    def _make(self, name: str) -> None:
        """Complete transcriptions, or more and change one; make a backup."""
        settings = self.settings
        migrate(settings)
        writer = Writer(settings)
        ids = [writer.complete(number) for number in ((0, 1) if name == "first" else (2, 3, 4))]
        if name == "second":
            objects = ObjectStore.from_settings(settings)
            with Postgres.from_settings(settings, "admin").transaction() as connection:
                row = connection.execute(
                    "select id from ytcaption.transcription where media_id = 'youtube-0'"
                ).fetchone()
            assert row is not None
            transcript = make_transcript(spoken("Good morning."), id=row["id"], model="base")
            written = objects.write_bytes(document_key(row["id"]), transcript.to_json())
            with Postgres.from_settings(settings, "admin").transaction() as connection:
                connection.execute(
                    "update ytcaption.transcription set document_sha256 = %s where id = %s",
                    (written.sha256, row["id"]),
                )
            source = MediaSource("youtube-0", "site", "https://youtu.be/0", "Youtube")
            catalog = TranscriptCatalog.from_settings(settings)
            catalog.append(transcript, source, MediaInfo(title="Title 0"))
        assert self._lake_report(repair=True).unreadable == {}
        (settings.home / "webhook.key").write_text(f"{name}\n")
        with dagster_instance(settings) as instance:
            instance.add_dynamic_partitions("transcriptions", ids)
        make_backup(settings, self.root / name, Quiet(), with_key=True)

    def restore(self, name: str, progress: Quiet | None = None) -> None:
        """Restore one of the backups over what is there."""
        restore_backup(self.settings, self.root / name, progress or Quiet(), replace=True)

    def digest(self) -> str:
        """Return the hash of all rows of ytcaption and of Dagster, the files they name, the key."""
        urls, settings = database_urls(self.settings), self.settings
        digest = hashlib.sha256((settings.home / "webhook.key").read_bytes())
        tables = {
            urls.admin: ("ytcaption", "migration"),
            libpq_url(urls.dagster_storage): ("public", "alembic_version"),
        }
        for url, (schema, left_out) in tables.items():
            with psycopg.connect(url, autocommit=True) as connection:
                names = connection.execute(
                    "select relname from pg_class where relkind = 'r' "
                    "and relnamespace = %s::regnamespace order by 1",
                    (schema,),
                ).fetchall()
                for (name,) in names:
                    # When Dagster's tables were made is not of the backup.
                    if name in (left_out, "secondary_indexes"):
                        continue
                    query = sql.SQL("select t::text from {} t order by 1").format(
                        sql.Identifier(schema, name)
                    )
                    digest.update(f"{name}\n{connection.execute(query).fetchall()}".encode())
        with psycopg.connect(urls.admin, autocommit=True) as connection:
            named = connection.execute(
                "select audio_key, audio_sha256 from ytcaption.media "
                "union all select document_key, document_sha256 from ytcaption.transcription "
                "order by 1"
            ).fetchall()
        objects = ObjectStore.from_settings(settings)
        for key, sha256 in named:
            digest.update(objects.read_bytes(key, sha256))
        return digest.hexdigest()

    def check_lake(self) -> None:
        """Check in a child that the lake has the documents."""

        def verify() -> None:
            report = self._lake_report(repair=False)
            assert report.is_sound, report

        assert in_child(verify) == 0

    def _lake_report(self, *, repair: bool) -> LakeReport:
        postgres = Postgres.from_settings(self.settings, "dagster")
        objects = ObjectStore.from_settings(self.settings)
        return TranscriptCatalog.from_settings(self.settings).verify(
            partial(completed_ids, postgres),
            partial(stored_document, postgres, objects),
            repair=repair,
        )

    def remains(self) -> list[str]:
        """Return what a restore has left: databases, files."""
        url = with_database(database_urls(self.settings).admin, "postgres")
        with psycopg.connect(url, autocommit=True) as connection:
            left = connection.execute(
                "select datname from pg_database where datname like '%restore%'"
            ).fetchall()
        folder = self.settings.home / "restore"
        files = [path.name for path in folder.iterdir() if path.name != "lock"]
        return [name for (name,) in left] + files + self.keys("restore")

    def keys(self, prefix: str = "") -> list[str]:
        """Return the keys of the object store."""
        return list(ObjectStore.from_settings(self.settings).list(prefix))


@contextmanager
def made_installation() -> Iterator[Installation]:
    """Make an installation on a running server."""
    root = Path(tempfile.mkdtemp(prefix="ytcr", dir="/tmp"))  # short, as socket paths must be
    installation = Installation(root)
    try:
        with running_postgres(installation.settings, in_restore=True):
            installation.make()
            yield installation
    finally:
        shutil.rmtree(root)


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    """One for all tests of this module; each leaves it as one of its backups."""
    with made_installation() as installation:
        yield installation


def die(*_: object, **__: object) -> None:
    """End this process as kill -9 does."""
    os.kill(os.getpid(), signal.SIGKILL)


class DyingAt(Quiet):
    """Dies at the beginning of a step, or after the first bytes of a later one."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def step(self, what: str, total_bytes: int | None = None) -> None:
        """Die at the step."""
        super().step(what, total_bytes)
        if what.startswith(self._name):
            die()

    def advance(self, size_bytes: int) -> None:
        """Die in the step."""
        if self._name == "advance" and self.steps[-1].startswith("Restoring"):
            die()


def before(place: object, name: str) -> Callable[[], None]:
    """Return what makes a function die before it does anything."""
    return lambda: setattr(place, name, die)


def after(place: object, name: str) -> Callable[[], None]:
    """Return what makes a function die when it has done its work."""

    def change() -> None:
        function = getattr(place, name)

        def dying(*arguments: object, **options: object) -> None:
            function(*arguments, **options)
            die()

        setattr(place, name, dying)

    return change


def nothing() -> None:
    """Change no function."""


RESTORE, RECOVERY = resources.backup.restore, resources.backup.recovery
KILLED = [
    ("as before", "filling", DyingAt("Filling"), nothing),
    ("as before", "filled", Quiet(), before(RESTORE, "_write_objects")),
    ("as before", "files", DyingAt("advance"), nothing),
    ("as before", "verified", DyingAt("Putting"), nothing),
    ("new", "decided", Quiet(), before(StagedDatabases, "exchange")),
    ("new", "renamed", Quiet(), after(StagedDatabases, "exchange")),
    ("new", "exchanged", Quiet(), before(RECOVERY, "_open")),
    ("new", "opened", Quiet(), before(StagedDatabases, "drop_present")),
    ("new", "dropped", Quiet(), before(Journal, "remove")),
    ("new", "ended", DyingAt("Removing"), nothing),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("expected", "progress", "change"),
    [pytest.param(each[0], each[2], each[3], id=each[1]) for each in KILLED],
)
def test_a_restore_that_is_killed_is_undone_or_completed(
    installation: Installation, expected: str, progress: Quiet, change: Callable[[], None]
):
    """Until the next command has done so, nothing uses the databases."""
    other = "first" if installation.present == "second" else "second"
    keys = installation.keys()

    def restore() -> None:
        change()
        installation.restore(other, progress)

    assert in_child(restore) == -signal.SIGKILL
    if journal_path(installation.settings).exists():
        with (
            pytest.raises(SetupError, match="A restore was cut short"),
            running_postgres(installation.settings),
        ):
            pytest.fail("a database that is being restored was opened")
    assert in_child(lambda: settle(installation.settings)) == 0
    if expected == "new":
        installation.present = other
    else:
        assert installation.keys() == keys
    assert installation.digest() == installation.states[installation.present]
    assert installation.remains() == []
    installation.check_lake()


@pytest.mark.slow
def test_a_restore_killed_at_random_moments_leaves_the_old_or_the_new(installation: Installation):
    """Tens of kills, spread over the whole restore; RESTORE_KILLS sets their number."""
    randomness = random.Random(20261201)
    other = "first" if installation.present == "second" else "second"
    start = time.monotonic()
    assert in_child(partial(installation.restore, other)) == 0
    took_s = time.monotonic() - start
    installation.present = other
    outcomes = {"old": 0, "new": 0}
    for _ in range(KILLS):
        other = "first" if installation.present == "second" else "second"
        pid = forked(partial(installation.restore, other))
        time.sleep(randomness.uniform(0, took_s * 1.05))  # the moment is what is random
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert in_child(lambda: settle(installation.settings)) == 0
        digest = installation.digest()
        assert digest in installation.states.values()
        assert installation.remains() == []
        is_new = digest == installation.states[other]
        outcomes["new" if is_new else "old"] += 1
        installation.present = other if is_new else installation.present
    sys.stderr.write(f"killed {KILLS} times: {outcomes}\n")
    assert min(outcomes.values()) > 0
    installation.check_lake()


@pytest.mark.slow
def test_a_database_that_is_still_being_created_is_removed(
    installation: Installation, tmp_path: Path
):
    """Postgres completes the statement of a restore that was killed; the next command waits."""
    pid_file = tmp_path / "backend"

    def create(connection: psycopg.Connection, database: Any) -> None:
        pid_file.write_text(str(connection.info.backend_pid))
        os.kill(connection.info.backend_pid, signal.SIGSTOP)
        connection.pgconn.send_query(f"create database {database.new}".encode())
        connection.pgconn.flush()
        die()

    def restore() -> None:
        resources.backup.databases._create = create
        installation.restore("first" if installation.present == "second" else "second")

    assert in_child(restore) == -signal.SIGKILL
    settling = forked(lambda: settle(installation.settings))
    ended = (0, 0)
    deadline = time.monotonic() + 5  # as long as it has to wait, it waits
    while ended == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.1)
        ended = os.waitpid(settling, os.WNOHANG)
    backend = psutil.Process(int(pid_file.read_text()))
    backend.resume()
    with suppress(psutil.NoSuchProcess):
        backend.wait(30)
    if ended == (0, 0):
        ended = os.waitpid(settling, 0)
    assert os.waitstatus_to_exitcode(ended[1]) == 0
    assert installation.remains() == []
    assert installation.digest() == installation.states[installation.present]


@pytest.mark.slow
def test_a_restore_waits_for_nobody_and_refuses_beside_others(installation: Installation):
    """What somebody writes meanwhile would be lost: the restore says so and changes nothing."""
    other = "first" if installation.present == "second" else "second"
    url = database_urls(installation.settings).api
    with (
        psycopg.connect(url),
        pytest.raises(SetupError, match="Other programs are connected to the databases"),
    ):
        installation.restore(other)

    class Connecting(Quiet):
        def step(self, what: str, total_bytes: int | None = None) -> None:
            if what.startswith("Putting"):
                self.connection = psycopg.connect(url)

    progress = Connecting()
    with pytest.raises(SetupError, match="Other programs are connected"):
        installation.restore(other, progress)
    progress.connection.close()
    assert installation.digest() == installation.states[installation.present]
    assert installation.remains() == []
