"""Who works with the files of a transcription, whatever its row says: known to every process.

A run holds the lock as long as it may write; an erasure waits for it, and holds it alone. Advisory
locks of Postgres end with their connection, so that nobody who dies keeps one.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from resources.postgres.connection import Postgres
from ytcaption.domain.errors import BackupRunning, StateError, TranscriptionBusy

_LOCK_CLASS = 0x776F726B  # "work": the first half of our keys
_STORING_CLASS = 0x73746F72  # "stor"
_REMOVING_CLASS = 0x72656D6F  # "remo"
_ALL = 0


@contextmanager
def work_lock(postgres: Postgres, id: str, media_id: str) -> Iterator[None]:
    """Beside all others who work on it; waits while it is being erased."""
    with postgres.own_connection() as connection:
        for name in (id, media_id):
            connection.execute(
                "select pg_advisory_lock_shared(%s, %s)", (_LOCK_CLASS, _lock_key(name))
            )
        yield


@contextmanager
def upload_lock(postgres: Postgres, media_id: str) -> Iterator[None]:
    """Alone with the file of an upload, from the look whether it is stored to the request for it:
    neither an equal upload nor an erasure comes in between. Runs do not wait for it."""
    with postgres.own_connection() as connection:
        connection.execute("select pg_advisory_lock(%s, %s)", (_STORING_CLASS, _lock_key(media_id)))
        yield


@contextmanager
def exclusive_work_lock(postgres: Postgres, name: str, wait_s: float) -> Iterator[None]:
    """With nobody at work on the transcription, or on the media, of this id.

    Raises:
        TranscriptionBusy: somebody still is after `wait_s`.
    """
    with postgres.own_connection() as connection:
        try:
            connection.execute("select set_config('lock_timeout', %s, false)", (f"{wait_s}s",))
            connection.execute("select pg_advisory_lock(%s, %s)", (_LOCK_CLASS, _lock_key(name)))
        except psycopg.errors.LockNotAvailable as error:
            raise TranscriptionBusy(
                "The run that works on it has not ended yet. Repeat this in some seconds."
            ) from error
        yield


@contextmanager
def removal_lock(postgres: Postgres) -> Iterator[None]:
    """Beside all others who remove files for good, and not while a backup copies them (rule 45).

    Raises:
        BackupRunning: one is being made.
    """
    with postgres.own_connection() as connection:
        row = connection.execute(
            "select pg_try_advisory_lock_shared(%s, %s) as mine", (_REMOVING_CLASS, _ALL)
        ).fetchone()
        if row is None or not row["mine"]:
            raise BackupRunning(
                "A backup is being made, and nothing is erased meanwhile. Repeat this once it is "
                "done."
            )
        yield


@contextmanager
def block_removals(postgres: Postgres, wait_s: float = 60.0) -> Iterator[None]:
    """While this lasts nobody removes a file for good; those who do so already are waited for.

    Raises:
        StateError: somebody still does after `wait_s`, or another backup is being made.
    """
    with postgres.own_connection() as connection:
        try:
            connection.execute("select set_config('lock_timeout', %s, false)", (f"{wait_s}s",))
            connection.execute("select pg_advisory_lock(%s, %s)", (_REMOVING_CLASS, _ALL))
        except psycopg.errors.LockNotAvailable as error:
            raise StateError(
                "Another backup is being made, or files are being erased. Try again in some "
                "minutes."
            ) from error
        yield


def _lock_key(name: str) -> int:
    # Two names on one key only wait for each other.
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], signed=True)
