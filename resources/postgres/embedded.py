"""A Postgres that is there while somebody uses it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from resources.postgres.connection import close_pools
from resources.postgres.postmaster import Postmaster
from resources.postgres.urls import database_urls, with_database
from ytcaption.domain.errors import DatabaseUnavailable
from ytcaption.settings import Settings


@contextmanager
def running_postgres(settings: Settings) -> Iterator[None]:
    """A database that answers, while the context lasts.

    Without a `database_url` it is the embedded one: the first user, in whatever process, starts it,
    the last one out stops it. A user is a shared lock on a file, which the kernel releases however
    the process ends, so kill -9 leaves no stale count.

    Raises:
        SetupError: the embedded server cannot be started here.
        DiskFull: no space for it.
        DatabaseUnavailable: the server that is set does not answer.
    """
    if settings.database_url is not None:
        _require_answer(database_urls(settings).admin)
        try:
            yield
        finally:
            close_pools(database_urls(settings))
        return
    server = Postmaster.of(settings)
    server.make_folders()
    with _locked(server.folder / "starting.lock", fcntl.LOCK_EX):
        users = _lock(server.folder / "users.lock", fcntl.LOCK_SH)
        try:
            if not server.is_running():
                server.make_data()
                server.start()
        except BaseException:
            os.close(users)
            raise
    try:
        yield
    finally:
        # In this order: the pools would find their server gone and say so.
        close_pools(database_urls(settings))
        with _locked(server.folder / "starting.lock", fcntl.LOCK_EX):
            os.close(users)
            _stop_if_unused(server)


def ensure_postgres(settings: Settings) -> None:
    """Start the embedded server again if it died while in use. Called by a user of it.

    Raises:
        SetupError, DiskFull, DatabaseUnavailable: as `running_postgres`.
    """
    if settings.database_url is not None:
        _require_answer(database_urls(settings).admin)
        return
    server = Postmaster.of(settings)
    if not server.is_running():
        with _locked(server.folder / "starting.lock", fcntl.LOCK_EX):
            if not server.is_running():
                server.start()


def is_postgres_running(settings: Settings) -> bool:
    """Whether the database answers. Starts nothing."""
    if settings.database_url is None:
        return Postmaster.of(settings).is_running()
    try:
        _require_answer(database_urls(settings).admin)
    except DatabaseUnavailable:
        return False
    return True


def _stop_if_unused(server: Postmaster) -> None:
    try:
        alone = _lock(server.folder / "users.lock", fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    try:
        server.stop()
    finally:
        os.close(alone)


def _lock(path: Path, mode: int) -> int:
    # Ended by closing, never unlocked: a forked child shares the lock and may need the server.
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _locked(path: Path, mode: int) -> Iterator[None]:
    descriptor = _lock(path, mode)
    try:
        yield
    finally:
        os.close(descriptor)


def _require_answer(url: str) -> None:
    # The second, because `migrate` may yet have to make the first.
    for candidate in (url, with_database(url, "postgres")):
        try:
            psycopg.connect(candidate, connect_timeout=10).close()
        except psycopg.OperationalError as error:
            cause = error
        else:
            return
    raise DatabaseUnavailable(
        "The Postgres server of YTCAPTION_DATABASE_URL does not answer or refuses the log-in. "
        "Check that it runs and that the address, user and password are right."
    ) from cause
