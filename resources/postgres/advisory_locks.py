"""Locks on the files of transcriptions and media, which all processes share.

A run holds a shared lock as long as it may write; an erasure waits for it and holds it exclusively.
Postgres ends an advisory lock with its connection, so that a process that dies keeps none.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from resources.postgres.connection import Postgres
from ytcaption.domain.errors import BackupRunning, StateError, TranscriptionBusy

_LOCK_CLASS = 0x776F726B  # "work": the first half of our keys
_UPLOAD_CLASS = 0x73746F72  # "stor"
_REMOVAL_CLASS = 0x72656D6F  # "remo"
_ALL = 0
_LONGEST_S = 600.0  # an erasure of a long recording, or an upload of equal bytes
_GRACE_S = 30.0  # the wait for a lock ends before its statement does


@contextmanager
def work_lock(postgres: Postgres, id: str, media_id: str) -> Iterator[None]:
    """Hold shared locks on a transcription and its media; wait while either is being erased."""
    with postgres.own_connection(_LONGEST_S) as connection:
        connection.execute(
            "select pg_advisory_lock_shared(%(class)s, %(id)s), "
            "pg_advisory_lock_shared(%(class)s, %(media)s)",
            {"class": _LOCK_CLASS, "id": _lock_key(id), "media": _lock_key(media_id)},
        )
        yield


@contextmanager
def upload_lock(postgres: Postgres, media_id: str) -> Iterator[None]:
    """Hold the lock on the file of an upload.

    From the check whether it is stored to its request, neither an equal upload nor an erasure may
    interfere. Runs do not wait for this lock.
    """
    with postgres.own_connection(_LONGEST_S) as connection:
        connection.execute("select pg_advisory_lock(%s, %s)", (_UPLOAD_CLASS, _lock_key(media_id)))
        yield


@contextmanager
def exclusive_work_lock(postgres: Postgres, name: str, wait_s: float) -> Iterator[None]:
    """Hold the exclusive lock on one transcription or one media item.

    Args:
        name: id of either.

    Raises:
        TranscriptionBusy: a run still holds its lock after `wait_s`.
    """
    with postgres.own_connection(wait_s + _GRACE_S, lock_s=wait_s) as connection:
        try:
            connection.execute("select pg_advisory_lock(%s, %s)", (_LOCK_CLASS, _lock_key(name)))
        except psycopg.errors.LockNotAvailable as error:
            raise TranscriptionBusy("A run still uses it. Try again in a few seconds.") from error
        yield


@contextmanager
def removal_lock(postgres: Postgres) -> Iterator[None]:
    """Hold the shared lock of all that delete files for good, which no backup may be copying.

    See docs/adr/security-rules.md#rule-45.

    Raises:
        BackupRunning: a backup is being made.
    """
    with postgres.own_connection() as connection:
        row = connection.execute(
            "select pg_try_advisory_lock_shared(%s, %s) as mine", (_REMOVAL_CLASS, _ALL)
        ).fetchone()
        if row is None or not row["mine"]:
            raise BackupRunning(
                "A backup is being made, and nothing is erased during it. Try again when it is "
                "done."
            )
        yield


@contextmanager
def block_removals(postgres: Postgres, wait_s: float = 60.0) -> Iterator[None]:
    """Let no file be deleted for good while the context lasts; wait for deletions in progress.

    Raises:
        StateError: after `wait_s` a deletion or another backup is still in progress.
    """
    with postgres.own_connection(wait_s + _GRACE_S, lock_s=wait_s) as connection:
        try:
            connection.execute("select pg_advisory_lock(%s, %s)", (_REMOVAL_CLASS, _ALL))
        except psycopg.errors.LockNotAvailable as error:
            raise StateError(
                "Another backup is being made, or files are being erased. Try again in a few "
                "minutes."
            ) from error
        yield


def _lock_key(name: str) -> int:
    # Two names with the same key merely wait for each other.
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], signed=True)
