"""Settles transcriptions whose run ended without doing so: lost, killed, or terminated.

A sensor or check that notices the end of a run calls these functions. A run that
still works writes through `RunStore`.
"""

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from resources.transcriptions.rows import LostRun
from resources.transcriptions.state import cancel_row, fail_attempt, give_back
from ytcaption.domain.request import TranscriptionStatus


def settle_run(
    postgres: Postgres, run_id: str, code: str, message: str, retryable: bool, max_attempts: int
) -> TranscriptionStatus | None:
    """Fail the transcription that a finished run has left running. Return its new status, or None
    if the run has left nothing."""
    with postgres.transaction() as connection:
        row = connection.execute(
            "select * from ytcaption.transcription "
            "where run_id = %s and status = 'running' for update",
            (run_id,),
        ).fetchone()
        if row is None:
            return None
        return fail_attempt(connection, row, code, message, retryable, max_attempts)


def settle_attempt(
    postgres: Postgres,
    id: str,
    attempt: int,
    code: str,
    message: str,
    retryable: bool,
    max_attempts: int,
) -> TranscriptionStatus | None:
    """Fail an attempt whose run ended before it claimed the transcription. Return the new status,
    or None if the transcription is not queued for this attempt."""
    with postgres.transaction() as connection:
        row = connection.execute(
            "select * from ytcaption.transcription "
            "where id = %s and attempt = %s and status = 'queued' for update",
            (id, attempt),
        ).fetchone()
        if row is None:
            return None
        return fail_attempt(connection, row, code, message, retryable, max_attempts)


def settle_silent(
    postgres: Postgres, silent_s: float = 60.0, max_attempts: int = 4
) -> list[LostRun]:
    """Fail every transcription whose run has sent no heartbeat for `silent_s`; it can be retried.
    Return those runs."""
    with postgres.transaction() as connection:
        rows = connection.execute(
            """
            select * from ytcaption.transcription
            where status = 'running' and heartbeat_at < now() - make_interval(secs => %s)
            order by id for update skip locked
            """,
            (silent_s,),
        ).fetchall()
        for row in rows:
            message = f"The run sent no heartbeat for {silent_s:.0f} seconds."
            fail_attempt(connection, row, "run_lost", message, True, max_attempts)
        return [LostRun(row["id"], row["run_id"]) for row in rows]


def give_back_run(postgres: Postgres, run_id: str, id: str | None, attempt: int | None) -> bool:
    """Queue the transcription of a run that was ended because it waited too long. It keeps its
    attempts.

    Args:
        id, attempt: the transcription and attempt the run was started for.

    Returns:
        Whether the run had claimed a transcription, or was still to claim this one.
    """
    with postgres.transaction() as connection:
        row = _row_of_run(connection, run_id, id, attempt)
        if row is None:
            return False
        give_back(connection, row)
        return True


def cancel_run(postgres: Postgres, run_id: str, id: str | None, attempt: int | None) -> bool:
    """Cancel the transcription of a run that was terminated; arguments and result as
    `give_back_run`."""
    with postgres.transaction() as connection:
        row = _row_of_run(connection, run_id, id, attempt)
        if row is None:
            return False
        cancel_row(connection, row)
        return True


def _row_of_run(
    connection: Connection[DictRow], run_id: str, id: str | None, attempt: int | None
) -> DictRow | None:
    """Return the row the run has claimed, or was to claim as `attempt` of `id`, locked."""
    return connection.execute(
        """
        select * from ytcaption.transcription
        where (run_id = %(run_id)s and status = 'running')
            or (id = %(id)s and attempt = %(attempt)s and status = 'queued')
        for update
        """,
        {"run_id": run_id, "id": id, "attempt": attempt},
    ).fetchone()
