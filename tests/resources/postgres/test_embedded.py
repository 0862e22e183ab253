"""The embedded Postgres: who starts it, who stops it, and what it survives."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from resources.postgres import embedded
from resources.postgres.connection import Postgres
from resources.postgres.embedded import ensure_postgres, is_postgres_running, running_postgres
from resources.postgres.migrate import migrate
from resources.postgres.urls import database_urls, socket_folder
from resources.transcriptions.reads import get_transcription, status_counts
from resources.transcriptions.store import RequestStore
from tests.support.patience import patience
from tests.support.rows import recent_transcriptions
from ytcaption.domain.errors import DatabaseUnavailable, DiskFull, SetupError
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings

USER = """
import sys
from pathlib import Path
from resources.postgres.embedded import running_postgres
from ytcaption.settings.settings import Settings
with running_postgres(Settings(home=Path(sys.argv[1]), _env_file=None)):
    print("up", flush=True)
    sys.stdin.readline()
"""


def settings_of(home: Path) -> Settings:
    """An embedded server's, without the tests' environment."""
    return Settings(home=home, database_url=None, _env_file=None)  # pyright: ignore


@contextmanager
def closed_folder() -> Iterator[Path]:
    """A folder closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="yth", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def initialised_home() -> Iterator[Path]:
    """A home whose database has been made."""
    with closed_folder() as folder:
        with running_postgres(settings_of(folder / "h")):
            pass
        yield folder / "h"


@pytest.fixture
def home(initialised_home: Path) -> Iterator[Path]:
    """A home whose database has been made and does not run; after the test it does not either."""
    yield initialised_home
    require_nothing_runs(initialised_home)


@pytest.fixture
def new_home() -> Iterator[Path]:
    """A home that does not exist yet; after the test nothing runs there."""
    with closed_folder() as folder:
        yield folder / "h"
        require_nothing_runs(folder)


def require_nothing_runs(folder: Path) -> None:
    """End the postmasters of homes in the folder; there should have been none."""
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == "postgres" and str(folder) in " ".join(process.cmdline()):
                left.append(process)
                process.kill()
    assert left == []


def is_alive(pid: int) -> bool:
    """Whether it runs; a container's first process may take its time to bury the dead."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def postmaster_pid(home: Path) -> int:
    """Of the running server."""
    return int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])


@contextmanager
def user_process(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the server until its standard input says so."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        assert process.stdout.readline() == "up\n"
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()


def leave(process: subprocess.Popen[str]) -> None:
    """Let it end its use."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.wait(30) == 0


@pytest.mark.long
def test_it_lives_while_it_is_used(new_home: Path):
    """It answers in the context, with fsync on, no TCP port, and is gone afterwards."""
    settings = settings_of(new_home)
    assert not is_postgres_running(settings)
    assert not new_home.exists()
    with running_postgres(settings):
        assert is_postgres_running(settings)
        pid = postmaster_pid(new_home)
        with psycopg.connect(database_urls(settings).admin.replace("/ytcaption", "/postgres")) as c:
            for name, wanted in (
                ("fsync", "on"),
                ("synchronous_commit", "on"),
                ("full_page_writes", "on"),
                ("listen_addresses", ""),
                ("max_connections", "100"),
                ("server_encoding", "UTF8"),
            ):
                assert c.execute(f"show {name}").fetchone() == (wanted,), name
        assert psutil.Process(pid).net_connections("inet") == []
    assert not is_alive(pid)
    assert not is_postgres_running(settings)


@pytest.mark.slow
def test_it_is_closed_to_other_users(home: Path):
    """Home, data and socket folders are 0700, the log 0600; parent folders keep their permissions;
    the server is no root process and has the least of capabilities."""
    os.chmod(home.parent, 0o700)
    above = {folder: folder.stat().st_mode for folder in home.parents}
    with running_postgres(settings_of(home)):
        process = psutil.Process(postmaster_pid(home))
        assert process.uids().effective != 0
        status = Path(f"/proc/{process.pid}/status")
        if status.exists():
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
            assert int(fields["CapEff"], 16) in (0, 1 << 1, 1 << 2)
        run = socket_folder(settings_of(home))
        for folder in (home, home / "postgres", home / "postgres" / "data", run):
            assert folder.stat().st_mode & 0o777 == 0o700, folder
        assert (home / "postgres.log").stat().st_mode & 0o777 == 0o600
        assert (run / ".s.PGSQL.5432").stat().st_mode & 0o077 == 0
    assert {folder: folder.stat().st_mode for folder in home.parents} == above


def test_ctrl_c_does_not_reach_it(home: Path):
    """It is in a session of its own, so a terminal's signals go to its users only."""
    with running_postgres(settings_of(home)):
        pid = postmaster_pid(home)
        assert os.getsid(pid) == pid != os.getsid(0)
        assert os.getpgid(pid) != os.getpgrp()


@pytest.mark.slow
def test_the_last_one_out_stops_it(home: Path):
    """Two more processes use the same server; it stops with the last of the three."""
    settings = settings_of(home)
    with user_process(home) as first:
        pid = postmaster_pid(home)
        with user_process(home) as second:
            with running_postgres(settings):
                assert postmaster_pid(home) == pid
            leave(first)
            assert is_postgres_running(settings)
            assert postmaster_pid(home) == pid
            leave(second)
    assert not is_alive(pid)


def test_a_process_may_use_it_twice(home: Path):
    """The inner end does not stop it for the outer."""
    settings = settings_of(home)
    with running_postgres(settings):
        with running_postgres(settings):
            pass
        assert is_postgres_running(settings)


@pytest.mark.slow
def test_a_killed_user_does_not_keep_it(home: Path):
    """After kill -9 of one user, the next one's end stops the server."""
    settings = settings_of(home)
    with user_process(home) as process:
        process.kill()
    assert is_postgres_running(settings)
    pid = postmaster_pid(home)
    with running_postgres(settings):
        assert postmaster_pid(home) == pid
    assert not is_alive(pid)


@pytest.mark.slow
def test_two_first_users_at_once(new_home: Path):
    """Both find one server, made once."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", USER, str(new_home)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    assert [process.communicate()[0] for process in processes] == ["up\n"] * 3
    assert [process.returncode for process in processes] == [0] * 3
    assert not is_postgres_running(settings_of(new_home))


SOURCE = MediaSource("youtube-abc", "site", "https://www.youtube.com/watch?v=abc", "Youtube")


@pytest.mark.long
def test_a_killed_server_is_started_again(home: Path):
    """After kill -9 of the server, a query fails as retryable; the next user starts it, what was
    committed is there, and the same pool works again."""
    settings = settings_of(home)
    with running_postgres(settings):
        migrate(settings)
        store = RequestStore.from_settings(settings, "api")
        id = store.submit(SOURCE, TranscriptionOptions("base")).transcription.id
        os.kill(postmaster_pid(home), signal.SIGKILL)
        with pytest.raises(DatabaseUnavailable) as caught:
            for _ in range(100):  # its children may live a moment longer
                get_transcription(store.postgres, id)
                time.sleep(0.05)
        assert caught.value.retryable
        assert "postgres" not in str(caught.value) and "select" not in str(caught.value)
        with running_postgres(settings):
            assert get_transcription(store.postgres, id).id == id


@pytest.mark.slow
def test_a_stopped_server_is_gone_until_it_is_back(home: Path):
    """Queries and waiting fail as retryable within seconds, and recover by themselves."""
    settings = settings_of(home)
    with running_postgres(settings):
        migrate(settings)
        store = RequestStore.from_settings(settings, "api")
        id = store.submit(SOURCE, TranscriptionOptions("base")).transcription.id
        embedded.EmbeddedServer.of(settings).stop()
        for use in (lambda: get_transcription(store.postgres, id), lambda: store.wait_for_work(10)):
            began = time.monotonic()
            with pytest.raises(DatabaseUnavailable):
                use()
            assert time.monotonic() - began < 8 * patience()
        assert not is_postgres_running(settings)
        ensure_postgres(settings)
        began = time.monotonic()
        assert get_transcription(store.postgres, id).id == id
        assert time.monotonic() - began < 2 * patience()
        assert store.wait_for_work(10)


def left_by(home: Path, pid: int) -> None:
    """Lock files as a server of that number leaves them after kill -9."""
    with running_postgres(settings_of(home)):
        files = [
            home / "postgres" / "data" / "postmaster.pid",
            home / "postgres" / "run" / ".s.PGSQL.5432.lock",
        ]
        lines = [file.read_text().splitlines(keepends=True) for file in files]
    for file, (_, *rest) in zip(files, lines, strict=True):
        file.write_text("".join([f"{pid}\n", *rest]))


@pytest.mark.long
def test_somebody_elses_process_number_does_not_stop_it(home: Path):
    """After a restart of the machine, the number in a lock file may be another process's."""
    other = subprocess.Popen(["sleep", "60"], cwd="/", **as_server_user(home))
    try:
        left_by(home, other.pid)
        with running_postgres(settings_of(home)):
            assert postmaster_pid(home) != other.pid
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_dead_process_nobody_waited_for_does_not_stop_it(home: Path):
    """Where a container's first process buries no dead, the number in a lock file stays taken."""
    dead = subprocess.Popen(["true"], cwd="/", **as_server_user(home))
    while is_alive(dead.pid):
        time.sleep(0.01)
    left_by(home, dead.pid)
    with running_postgres(settings_of(home)):
        assert postmaster_pid(home) != dead.pid
    dead.wait()


def as_server_user(home: Path) -> dict[str, Any]:
    """For Popen: Postgres takes the number of a process of its own user as its own."""
    owner = (home / "postgres" / "data").stat()
    return {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}


def test_the_environment_does_not_lead_it_astray(home: Path, monkeypatch: pytest.MonkeyPatch):
    """Variables for another Postgres are not heeded."""
    for name, value in (
        ("PGHOST", "db.example.org"),
        ("PGPORT", "6543"),
        ("PGDATA", "/nonexistent"),
        ("PGUSER", "nobody"),
        ("PGDATABASE", "nothing"),
    ):
        monkeypatch.setenv(name, value)
    settings = settings_of(home)
    with running_postgres(settings):
        migrate(settings)
        assert sum(status_counts(Postgres.from_settings(settings, "api")).values()) >= 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ['Tö ne\'s "%41" $HOME', "x" * 120])
def test_homes_of_any_name(new_home: Path, name: str):
    """Odd and long names: it starts, on a socket that only its user reaches, and stops."""
    settings = settings_of(new_home / name)
    with running_postgres(settings):
        migrate(settings)
        assert recent_transcriptions(Postgres.from_settings(settings, "api")) == []
        for folder in (socket_folder(settings), socket_folder(settings).parent):
            assert folder.stat().st_mode & 0o777 == 0o700
    if not socket_folder(settings).is_relative_to(new_home):
        shutil.rmtree(socket_folder(settings).parent)


def test_a_socket_folder_that_is_not_ours_is_refused(new_home: Path, tmp_path: Path):
    """Somebody who was first with its name in /tmp does not get the database."""
    settings = settings_of(new_home / ("x" * 120))
    folder = socket_folder(settings).parent
    folder.symlink_to(tmp_path)
    try:
        with (
            pytest.raises(SetupError, match="belongs to another user"),
            running_postgres(settings),
        ):
            pass
    finally:
        folder.unlink()


def test_a_home_that_cannot_be_made(new_home: Path):
    """One sentence, with the variable to set."""
    new_home.write_text("a file")
    with pytest.raises(SetupError, match="YTCAPTION_HOME"), running_postgres(settings_of(new_home)):
        pass


def test_data_of_another_postgres(new_home: Path):
    """The error names both versions, and the data are left as they are."""
    data = new_home / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    with (
        pytest.raises(SetupError, match=r"Postgres 16.*Postgres 18"),
        running_postgres(settings_of(new_home)),
    ):
        pass
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


def test_a_postgres_that_does_not_start(home: Path):
    """The last telling line of its log is in the message, and where the log is."""
    settings = settings_of(home)
    with running_postgres(settings):
        pass
    configuration = home / "postgres" / "data" / "postgresql.conf"
    right = configuration.read_text()
    configuration.write_text(f"{right}\nwork_mem = 'many'\n")
    with pytest.raises(SetupError) as caught, running_postgres(settings):
        pass
    configuration.write_text(right)
    assert "did not start" in str(caught.value)
    assert "contains errors" in str(caught.value)
    assert str(home / "postgres.log") in str(caught.value)


@pytest.mark.slow
def test_a_disk_that_is_full_at_the_first_start(new_home: Path, monkeypatch: pytest.MonkeyPatch):
    """DiskFull, and nothing half-made is left for the next start."""

    def full(program: str, *_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(
            1, program, stderr="initdb: error: could not write file: No space left on device"
        )

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "run_program", full)
        with pytest.raises(DiskFull), running_postgres(settings_of(new_home)):
            pass
    with running_postgres(settings_of(new_home)):
        assert is_postgres_running(settings_of(new_home))


@pytest.mark.slow
def test_a_first_start_that_was_killed_is_repeated(new_home: Path):
    """A data directory that was being made is not taken for one."""
    (new_home / "postgres" / "new" / "base").mkdir(parents=True)
    with running_postgres(settings_of(new_home)):
        assert is_postgres_running(settings_of(new_home))


@pytest.mark.long
def test_a_server_that_does_not_answer(tmp_path: Path):
    """With a database URL nothing is started; the message says what to check, without password."""
    settings = Settings(  # pyright: ignore
        home=tmp_path / "home",
        database_url="postgresql://ada:hunter2@127.0.0.1:1/captions",  # pyright: ignore
        _env_file=None,  # pyright: ignore
    )
    with pytest.raises(DatabaseUnavailable) as caught, running_postgres(settings):
        pass
    assert "YTCAPTION_DATABASE_URL" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert not (tmp_path / "home").exists()
    assert not is_postgres_running(settings)
