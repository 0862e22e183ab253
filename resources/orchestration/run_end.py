"""Decides whether a run is over and why, and settles what runs that ended have left.

Four parts of the system ask: the run's own heartbeat (`transcription_claim`), the sensor that ends
runs which do not end themselves, and Dagster's run status sensors for failed and canceled runs.
"""

from enum import Enum

import dagster as dg

from resources.orchestration.tags import ATTEMPT_TAG, PARTITION_TAG
from resources.postgres.connection import Postgres
from resources.transcriptions.reads import get_transcriptions
from resources.transcriptions.rows import TranscriptionRow
from resources.transcriptions.run_settlement import (
    cancel_run,
    give_back_run,
    settle_attempt,
    settle_run,
)
from resources.transcriptions.time_limits import TOOK_TOO_LONG
from ytcaption.domain.errors import DatabaseUnavailable, TookTooLong
from ytcaption.domain.request import TranscriptionStatus

LOST = ("run_lost", "The run's process was lost.")
"""Error code and message of a run that ended without recording its outcome."""

_MAX_RUNTIME = "maximum runtime"
"""Text that Dagster's run monitoring puts into its reasons."""


class RunEnd(Enum):
    """Why a run that has lost its transcription is over: (reason shown in Dagster, patience)."""

    WITHDRAWN = ("Its transcription was canceled.", 3.0)
    TOOK_TOO_LONG = (TOOK_TOO_LONG, 10.0)

    def __init__(self, reason: str, patience_s: float) -> None:
        self.reason = reason
        self.patience_s = patience_s
        """Seconds until a process that does not end by itself is killed. A cancel must take effect
        within 5 s; for the time limit see docs/adr/security-rules.md#rule-36."""


def run_end(
    row: TranscriptionRow | None,
    run_id: str | None = None,
    claimed: TranscriptionRow | None = None,
) -> RunEnd | None:
    """Return why a run that does not hold its transcription (any more) is over; None where another
    run works on it, or may.

    Args:
        row: the transcription now; None: it was erased.
        run_id: a time limit counts only if this run hit it; None: whichever run did.
        claimed: the row as this run claimed it; None: unknown, or it has claimed nothing.
    """
    if row is None or row.status is TranscriptionStatus.CANCELED:
        return RunEnd.WITHDRAWN
    if not row.status.is_final:
        return None
    if row.error_code == TookTooLong.code and run_id in (None, row.run_id):
        return RunEnd.TOOK_TOO_LONG
    # Canceled while an earlier result stands: the row is completed again, by that result.
    has_earlier_result = claimed is not None and row.completed_at == claimed.completed_at
    is_completed = row.status is TranscriptionStatus.COMPLETED
    return RunEnd.WITHDRAWN if is_completed and has_earlier_result else None


def end_of_own_run(
    postgres: Postgres, id: str, run_id: str, claimed: TranscriptionRow | None
) -> RunEnd | None:
    """Return `run_end` for a run that asks about itself; None where the database is unavailable."""
    try:
        row = get_transcriptions(postgres, [id]).get(id)
    except DatabaseUnavailable:
        return None
    return run_end(row, run_id, claimed)


def is_over(run: dg.DagsterRun, row: TranscriptionRow | None) -> bool:
    """Whether a run has nothing left to do: it neither holds its transcription, nor is the one that
    is to claim it."""
    if row is None:
        return True
    if row.status is TranscriptionStatus.RUNNING:
        return row.run_id != run.run_id
    is_to_claim = run.tags.get(ATTEMPT_TAG) in (None, str(row.attempt))
    return row.status is not TranscriptionStatus.QUEUED or not is_to_claim


def settle_failed_run(
    postgres: Postgres, run: dg.DagsterRun, reason: str | None, max_attempts: int
) -> None:
    """Count the attempt of a failed run that has not recorded its failure itself.

    Args:
        reason: Dagster's.
    """
    id, attempt = run.tags.get(PARTITION_TAG), _attempt(run)
    if _is_max_runtime(reason):
        # Dagster counts the time a run waits for slots, too. Work that took too long has failed by
        # our own limits already, so this run has only waited.
        give_back_run(postgres, run.run_id, id, attempt)
        return
    settle_run(postgres, run.run_id, *LOST, True, max_attempts)
    if id is not None and attempt is not None:
        settle_attempt(postgres, id, attempt, *LOST, True, max_attempts)


def settle_canceled_run(
    postgres: Postgres, run: dg.DagsterRun, reason: str, max_attempts: int
) -> bool:
    """Cancel the transcription of a run that a person terminated. Return whether there was one.

    A run that Dagster canceled for its runtime is settled like a failed one: it ended before
    Dagster reported it as failed.
    """
    if _is_max_runtime(reason):
        settle_failed_run(postgres, run, reason, max_attempts)
        return False
    return cancel_run(postgres, run.run_id, run.tags.get(PARTITION_TAG), _attempt(run))


def _is_max_runtime(reason: str | None) -> bool:
    return reason is not None and _MAX_RUNTIME in reason


def _attempt(run: dg.DagsterRun) -> int | None:
    """Return the attempt the run was started for."""
    attempt = run.tags.get(ATTEMPT_TAG)
    return int(attempt) if attempt else None
