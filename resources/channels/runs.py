"""What a listing run writes of its channel, from its claim to its end.

A run claims the channel's row; every later write says `where run_id = mine`, so that a revived or
doubled run, or one of a channel that is gone, changes nothing: it gets ClaimLost (rule 34).
"""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

from resources.channels.due import ChannelsDue, DueChannel, moment
from resources.channels.rows import ChannelRow, channel_row
from resources.channels.store import CHANNELS_CHANNEL
from resources.postgres.jsonb import clean
from resources.postgres.notify import notify
from resources.sites.circuit_breaker import BLAMED, probe_if_due, record_failure, record_listed
from resources.telemetry.spans import traced
from resources.transcriptions.rows import LostRun
from ytcaption.domain.errors import ChannelBusy, ChannelNotFound, ClaimLost

FIRST_RETRY_S = 60.0
LONGEST_RETRY_S = 6 * 3600.0
HOPELESS_RETRY_S = 24 * 3600.0
"""What fails for good, as a channel that was deleted, is looked at again once a day: it may be
back."""

JITTER = 0.25
"""Of a delay, added at random: what failed together does not come back together."""

_LONGEST_MESSAGE = 1_000
_FREE: LiteralString = "run_id = null, heartbeat_at = null"


def retry_delay_s(failures: int, retryable: bool, retry_after_s: float | None = None) -> float:
    """Seconds to the next look after so many failures in a row: 1, 2, 4 minutes and up to 6 hours,
    no sooner than the source wants, and up to a quarter more."""
    delay_s = min(FIRST_RETRY_S * 2.0 ** min(failures - 1, 20), LONGEST_RETRY_S)
    if not retryable:
        delay_s = HOPELESS_RETRY_S
    delay_s = max(delay_s, retry_after_s or 0.0)
    return delay_s * (1.0 + random.uniform(0.0, JITTER))  # noqa: S311 - no secret


class ChannelRuns(ChannelsDue):
    """The writes of listing runs, and of those who find them gone."""

    @traced("postgres.channel_claim")
    def claim(self, id: str, run_id: str, due_at: str | None = None) -> ChannelRow:
        """Make the channel this run's own, and begin a new count of what is taken where it was due
        by its schedule.

        Args:
            due_at: `moment` that the run was made for; None for one that was started by hand.

        Raises:
            ChannelNotFound: it is gone.
            ChannelBusy: another run lists it.
            ClaimLost: it is no longer due for this moment.
        """
        with self.postgres.transaction() as connection:
            row = connection.execute(
                "select * from ytcaption.channel where id = %s and deleted_at is null for update",
                (id,),
            ).fetchone()
            if row is None:
                raise ChannelNotFound(f"There is no channel {id[:120]}.")
            if row["run_id"] not in (None, run_id):
                raise ChannelBusy(f"Another run lists {id}. Wait for it to end.")
            if row["run_id"] is None and due_at not in (None, moment(row["next_listing_at"])):
                raise ClaimLost(f"{id} was looked at already: this run has nothing left to do.")
            claimed = connection.execute(
                """
                update ytcaption.channel
                set run_id = %(run_id)s, heartbeat_at = now(), run_asked_at = null,
                    taken = case when is_continued then taken else 0 end, is_continued = false
                where id = %(id)s returning *
                """,
                {"id": id, "run_id": run_id},
            ).fetchone()
            assert claimed is not None
            probe_if_due(connection, claimed["site"], run_id)
            return channel_row(claimed)

    def heartbeat(self, id: str, run_id: str) -> None:
        """Say that the run lives.

        Raises:
            ClaimLost: the channel is no longer this run's.
        """
        with self.postgres.transaction() as connection:
            changed = connection.execute(
                "update ytcaption.channel set heartbeat_at = now() where id = %s and run_id = %s",
                (id, run_id),
            )
            if changed.rowcount == 0:
                raise claim_lost(id)

    def listed(self, id: str, run_id: str, continue_in_s: float | None = None) -> ChannelRow:
        """The look has succeeded; the next one is by the schedule, or at once where somebody has
        asked for it meanwhile.

        Args:
            continue_in_s: the history goes on so soon; None: it is done for now.

        Raises:
            ClaimLost: the channel is no longer this run's.
        """
        with self.postgres.transaction() as connection:
            row = claimed_channel(connection, id, run_id)
            now = datetime.now(UTC)
            by_schedule = channel_row(row).plan.schedule.next_after(now)
            next_at, is_continued = by_schedule, False
            if row["run_asked_at"] is not None:
                next_at = now
            elif continue_in_s is not None:
                soon = now + timedelta(seconds=continue_in_s)
                next_at, is_continued = min((soon, True), (by_schedule, False))
            updated = connection.execute(
                f"""
                update ytcaption.channel
                set {_FREE}, next_listing_at = %(next_at)s, is_continued = %(is_continued)s,
                    listed_at = now(), failures = 0, failing_since = null,
                    error_code = null, error_message = null
                where id = %(id)s returning *
                """,  # noqa: S608
                {"id": id, "next_at": next_at, "is_continued": is_continued},
            ).fetchone()
            assert updated is not None
            record_listed(connection, row["site"], run_id)
            notify(connection, CHANNELS_CHANNEL, id)
            return channel_row(updated)

    def failed(
        self,
        id: str,
        run_id: str,
        code: str,
        message: str,
        retryable: bool,
        retry_after_s: float | None = None,
    ) -> float:
        """The look has failed: seconds until the next one. What was listed by then is kept, and the
        history goes on there.

        Args:
            code, message, retryable, retry_after_s: of a YtcaptionError.

        Raises:
            ClaimLost: the channel is no longer this run's.
        """
        with self.postgres.transaction() as connection:
            row = claimed_channel(connection, id, run_id)
            if code in BLAMED:
                record_failure(connection, row["site"], run_id, code, retry_after_s, id)
            return _fail(connection, row, code, message, retryable, retry_after_s)

    def put_off(self, run_id: str) -> bool:
        """Somebody has ended the run: the channel is looked at when it is due by its schedule.
        Whether the run held one."""
        with self.postgres.transaction() as connection:
            row = _row_of_run(connection, run_id)
            if row is not None:
                next_at = channel_row(row).plan.schedule.next_after(datetime.now(UTC))
                connection.execute(
                    f"update ytcaption.channel set {_FREE}, next_listing_at = %s "  # noqa: S608
                    "where id = %s",
                    (next_at, row["id"]),
                )
            return row is not None

    def settle_run(self, run_id: str, code: str, message: str) -> bool:
        """Free the channel that a run which is over has left claimed; whether there was one."""
        with self.postgres.transaction() as connection:
            row = _row_of_run(connection, run_id)
            if row is not None:
                _fail(connection, row, code, message, True, None)
            return row is not None

    def settle_unbegun(self, due: DueChannel) -> bool:
        """Look again later where the run of this moment ended before it claimed; whether it was
        so."""
        with self.postgres.transaction() as connection:
            row = connection.execute(
                "select * from ytcaption.channel "
                "where id = %s and next_listing_at = %s and run_id is null for update",
                (due.id, due.due_at),
            ).fetchone()
            if row is not None:
                message = "The run ended before it began. Its log in the Dagster UI says why."
                _fail(connection, row, "run_not_started", message, True, None)
            return row is not None

    def settle_silent(self, silent_s: float) -> Sequence[LostRun]:
        """Free what runs have not given a heartbeat of for `silent_s`, to be looked at again."""
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                """
                select * from ytcaption.channel
                where run_id is not null and heartbeat_at < now() - make_interval(secs => %s)
                order by id for update skip locked
                """,
                (silent_s,),
            ).fetchall()
            for row in rows:
                message = f"The run gave no sign of life for {silent_s:.0f} seconds."
                _fail(connection, row, "run_lost", message, True, None)
            return [LostRun(row["id"], row["run_id"]) for row in rows]


def claimed_channel(connection: Connection[DictRow], id: str, run_id: str) -> DictRow:
    """The row, held until the transaction ends, if it is this run's.

    Raises:
        ClaimLost: it is not.
    """
    row = connection.execute(
        "select * from ytcaption.channel where id = %s and run_id = %s for update", (id, run_id)
    ).fetchone()
    if row is None:
        raise claim_lost(id)
    return row


def _row_of_run(connection: Connection[DictRow], run_id: str) -> DictRow | None:
    return connection.execute(
        "select * from ytcaption.channel where run_id = %s for update", (run_id,)
    ).fetchone()


def claim_lost(id: str) -> ClaimLost:
    """The error for a run that writes what is no longer its own."""
    return ClaimLost(
        f"This run no longer holds {id}: the channel is gone, or another run has taken over. "
        "Nothing was written."
    )


def _fail(
    connection: Connection[DictRow],
    row: DictRow,
    code: str,
    message: str,
    retryable: bool,
    retry_after_s: float | None,
) -> float:
    delay_s = retry_delay_s(row["failures"] + 1, retryable, retry_after_s)
    connection.execute(
        f"""
        update ytcaption.channel
        set {_FREE}, failures = failures + 1, failing_since = coalesce(failing_since, now()),
            error_code = %(code)s, error_message = %(message)s,
            next_listing_at = case
                when run_asked_at is not null then now()
                else now() + make_interval(secs => %(delay_s)s) end,
            is_continued = true
        where id = %(id)s
        """,  # noqa: S608
        {
            "id": row["id"],
            "code": code,
            "message": clean(message)[:_LONGEST_MESSAGE],
            "delay_s": delay_s,
        },
    )
    notify(connection, CHANNELS_CHANNEL, row["id"])
    return delay_s
