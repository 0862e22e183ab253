"""What is written when a run ends, by the run itself or by those who find it gone."""

import dagster as dg
from psycopg import Connection
from psycopg.rows import DictRow

from resources.events import add_event
from resources.postgres.connection import Postgres
from resources.sites.circuit_breaker import BLAMED, record_failure
from resources.sites.pacing import record_download_end
from resources.telemetry.spans import traced
from resources.transcriptions.rows import LostRun
from resources.transcriptions.state import (
    cancel_row,
    claimed_row,
    fail_attempt,
    give_back,
    queue_again,
    rest,
    try_later,
)
from ytcaption.domain.events import EventType
from ytcaption.domain.request import TranscriptionStatus

OTHERS_FIRST_S = 5.0

FREE_PROBES_S = 3600.0
"""From its request on a transcription may probe its site without losing attempts: not for ever, or
what no site gives would wait for ever."""


class RunOutcomes(dg.ConfigurableResource):
    """The ends of runs. Every end is a transition of one row, with its event."""

    postgres: Postgres

    def release(self, id: str, run_id: str) -> TranscriptionStatus:
        """The run ended well without completing, as one that made only some assets does: what was
        completed before is so again, anything else is queued for its next attempt.

        Raises:
            ClaimLost: the transcription is no longer this run's.
        """
        with self.postgres.transaction() as connection:
            row = claimed_row(connection, id, run_id)
            if row["completed_at"] is not None:
                rest(connection, row, TranscriptionStatus.COMPLETED)
                status = TranscriptionStatus.COMPLETED
                told: dict[str, str | int] = {"status": status.value}
            else:
                told = queue_again(connection, row, delay_s=0.0, same_series=False)
                status = TranscriptionStatus.QUEUED
            add_event(connection, row, EventType.RELEASED, {"attempt": row["attempt"]} | told)
            return status

    @traced("postgres.fail")
    def fail(
        self,
        id: str,
        run_id: str,
        code: str,
        message: str,
        retryable: bool,
        max_attempts: int,
        retry_after_s: float | None = None,
    ) -> TranscriptionStatus:
        """The run failed: queued for the next try, 1, 3 and 7 s after the first three, or failed.
        A download that failed by its site's fault counts against the site; one that only tried
        for all who wait, for an hour at most, does not count as a try of its own.

        Args:
            code, message, retry_after_s: of a YtcaptionError.
            max_attempts: tries in all, the first included.

        Raises:
            ClaimLost: the transcription is no longer this run's.
        """
        with self.postgres.transaction() as connection:
            row = claimed_row(connection, id, run_id)
            if row["is_downloading"]:
                record_download_end(connection, row["source_site"])
            if row["is_downloading"] and code in BLAMED:
                probe_in_s = record_failure(
                    connection, row["source_site"], row["run_id"], code, retry_after_s, row["id"]
                )
                if probe_in_s is not None and _is_recent(connection, row):
                    # A little later than the next probe, which others make if there are any.
                    return try_later(connection, row, code, message, probe_in_s + OTHERS_FIRST_S)
            return fail_attempt(
                connection, row, code, message, retryable, max_attempts, retry_after_s
            )

    def settle_run(
        self, run_id: str, code: str, message: str, retryable: bool, max_attempts: int
    ) -> TranscriptionStatus | None:
        """Fail what a run that is over has left running; None where it has left nothing."""
        with self.postgres.transaction() as connection:
            row = connection.execute(
                "select * from ytcaption.transcription "
                "where run_id = %s and status = 'running' for update",
                (run_id,),
            ).fetchone()
            if row is None:
                return None
            return fail_attempt(connection, row, code, message, retryable, max_attempts)

    def settle_attempt(
        self, id: str, attempt: int, code: str, message: str, retryable: bool, max_attempts: int
    ) -> TranscriptionStatus | None:
        """Fail an attempt whose run ended before it claimed; None where that is not so."""
        with self.postgres.transaction() as connection:
            row = connection.execute(
                "select * from ytcaption.transcription "
                "where id = %s and attempt = %s and status = 'queued' for update",
                (id, attempt),
            ).fetchone()
            if row is None:
                return None
            return fail_attempt(connection, row, code, message, retryable, max_attempts)

    def settle_silent(self, silent_s: float = 60.0, max_attempts: int = 4) -> list[LostRun]:
        """Fail, to be tried again, what runs have not given a heartbeat of for `silent_s`."""
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                """
                select * from ytcaption.transcription
                where status = 'running' and heartbeat_at < now() - make_interval(secs => %s)
                order by id for update skip locked
                """,
                (silent_s,),
            ).fetchall()
            for row in rows:
                message = f"The run gave no sign of life for {silent_s:.0f} seconds."
                fail_attempt(connection, row, "run_lost", message, True, max_attempts)
            return [LostRun(row["id"], row["run_id"]) for row in rows]

    def give_back_run(self, run_id: str, id: str | None, attempt: int | None) -> bool:
        """The run was ended for having waited long: queue what it has claimed, or was to claim as
        `attempt` of `id`, with as many attempts left. Whether there was something."""
        with self.postgres.transaction() as connection:
            row = _row_of_run(connection, run_id, id, attempt)
            if row is None:
                return False
            give_back(connection, row)
            return True

    def cancel_run(self, run_id: str, id: str | None, attempt: int | None) -> bool:
        """The run was terminated: cancel what it has claimed, or was to claim as `attempt` of `id`.

        Whether there was something to cancel.
        """
        with self.postgres.transaction() as connection:
            row = _row_of_run(connection, run_id, id, attempt)
            if row is None:
                return False
            cancel_row(connection, row)
            return True


def _row_of_run(
    connection: Connection[DictRow], run_id: str, id: str | None, attempt: int | None
) -> DictRow | None:
    """What a run has claimed, or was to claim as `attempt` of `id`; held until the end."""
    return connection.execute(
        """
        select * from ytcaption.transcription
        where (run_id = %(run_id)s and status = 'running')
            or (id = %(id)s and attempt = %(attempt)s and status = 'queued')
        for update
        """,
        {"run_id": run_id, "id": id, "attempt": attempt},
    ).fetchone()


def _is_recent(connection: Connection[DictRow], row: DictRow) -> bool:
    found = connection.execute(
        "select now() - %s < make_interval(secs => %s) as is_recent",
        (row["queued_at"], FREE_PROBES_S),
    ).fetchone()
    return found is not None and found["is_recent"]
