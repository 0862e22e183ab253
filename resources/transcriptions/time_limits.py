"""How long may be worked on a transcription, by Postgres' clock alone.

A run's time counts while it works: from its claim to the end of each asset. It does not while the
transcription is in the queue, for its turn or for a site, nor while its run waits for a slot.
"""

from typing import LiteralString, NamedTuple

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.notify import ENDS_CHANNEL, notify
from resources.transcriptions.rows import LostRun
from resources.transcriptions.state import fail_attempt
from ytcaption.domain.errors import TookTooLong
from ytcaption.settings import Settings

TOOK_TOO_LONG = "Processing took too long."

_LEFT_S: LiteralString = """(
    least(
        %(job_s)s - worked_s,
        case when stage = 'transcription' then %(transcription_s)s::float8 end
    ) - extract(epoch from now() - working_since)
)::float8"""
"""SQL: seconds that a run still has; null while it waits for a slot."""


class TimeLimits(NamedTuple):
    """What is allowed, in seconds.

    Attributes:
        transcription_s: for the asset `transcription`, each attempt.
        job_s: for all assets, in all attempts since it was asked for.
    """

    transcription_s: float
    job_s: float

    @classmethod
    def from_settings(cls, settings: Settings) -> "TimeLimits":
        """Of an installation."""
        return cls(settings.transcription_timeout_s, settings.job_timeout_s)


def fail_overdue(
    connection: Connection[DictRow], limits: TimeLimits, run_id: str | None = None
) -> list[LostRun]:
    """Fail, for good, what is worked on for too long; what their runs still write is refused.

    Args:
        run_id: of the one run that is looked at; None: all.
    """
    rows = connection.execute(
        f"""
        select * from ytcaption.transcription
        where working_since is not null and {_LEFT_S} <= 0
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
    """Seconds until the next run is at its limit; None where none works."""
    row = connection.execute(
        f"select min({_LEFT_S}) as left_s from ytcaption.transcription "  # noqa: S608
        "where working_since is not null",
        limits._asdict(),
    ).fetchone()
    return row["left_s"] if row is not None else None
