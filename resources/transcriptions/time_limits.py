"""Time limits of transcriptions, by Postgres' clock alone.

Time counts while a run works: from its claim to the end of each asset. It does not count while the
transcription is queued, nor while its run waits for a slot.
"""

from typing import LiteralString, NamedTuple

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.notify import ENDS_CHANNEL, notify
from resources.transcriptions.rows import LostRun
from resources.transcriptions.state import fail_attempt
from ytcaption.domain.errors import TookTooLong
from ytcaption.settings.settings import Settings

TOOK_TOO_LONG = "Processing took too long."

LEFT_S: LiteralString = """(
    least(
        %(job_s)s - worked_s,
        case when stage = 'transcription' then %(transcription_s)s::float8 end
    ) - extract(epoch from now() - working_since)
)::float8"""
"""SQL: seconds a run has left; null while it waits for a slot."""


class TimeLimits(NamedTuple):
    """Time limits in seconds.

    Attributes:
        transcription_s: of the asset `transcription`, per attempt.
        job_s: of all assets in all attempts since the request.
    """

    transcription_s: float
    job_s: float

    @classmethod
    def from_settings(cls, settings: Settings) -> "TimeLimits":
        """Return the limits of an installation."""
        return cls(settings.runs.transcription_timeout_s, settings.runs.job_timeout_s)


def fail_overdue(
    connection: Connection[DictRow], limits: TimeLimits, run_id: str | None = None
) -> list[LostRun]:
    """Fail, without a retry, the transcriptions that are past a limit; further writes of their runs
    are refused. Return those runs.

    Args:
        run_id: the only run to check; None: all runs.
    """
    rows = connection.execute(
        f"""
        select * from ytcaption.transcription
        where working_since is not null and {LEFT_S} <= 0
            and (%(run_id)s::text is null or run_id = %(run_id)s)
        order by id for update skip locked
        """,  # noqa: S608
        {**limits._asdict(), "run_id": run_id},
    ).fetchall()
    for row in rows:
        fail_attempt(connection, row, TookTooLong.code, TOOK_TOO_LONG, False, 1)
        notify(connection, ENDS_CHANNEL, "")
    return [LostRun(row["id"], row["run_id"]) for row in rows]


def next_overdue_in_s(connection: Connection[DictRow], limits: TimeLimits) -> float | None:
    """Return the seconds until the next run reaches a limit; None if none works."""
    row = connection.execute(
        f"select min({LEFT_S}) as left_s from ytcaption.transcription "  # noqa: S608
        "where working_since is not null",
        limits._asdict(),
    ).fetchone()
    return row["left_s"] if row is not None else None


def leave_out(connection: Connection[DictRow], id: str, seconds: float) -> None:
    """Let this time, which the clock has skipped or repeated, not count for a transcription."""
    connection.execute(
        """
        update ytcaption.transcription
        set working_since = working_since + make_interval(secs => %(seconds)s),
            -- The trigger adds what was worked until now, and goes on from the new time.
            worked_s = worked_s - extract(epoch from now() - working_since)
        where id = %(id)s and working_since is not null
        """,
        {"id": id, "seconds": seconds},
    )
