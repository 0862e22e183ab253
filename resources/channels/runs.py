"""ChannelRuns: the writes of listing runs to their channel, from claim to end.

A run claims the channel's row. Every later write says `where run_id = mine`, so that a duplicate
or revived run, or a run of a deleted channel, changes nothing and gets ClaimLost.
See docs/adr/security-rules.md#rule-34.
"""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import LiteralString

import dagster as dg
from psycopg import Connection
from psycopg.rows import DictRow

from resources.channels.due import DueChannel, due_time
from resources.channels.rows import ChannelRow, channel_row
from resources.channels.store import CHANNELS_CHANNEL
from resources.postgres.connection import Postgres
from resources.postgres.jsonb import clean
from resources.postgres.notify import notify
from resources.sites.circuit_breaker import SITE_ERRORS, probe_if_due, record_failure, record_listed
from resources.sites.pacing import database_now
from resources.telemetry.spans import traced
from resources.transcriptions.rows import LostRun
from ytcaption.domain.errors import ChannelBusy, ChannelNotFound, ClaimLost

FIRST_RETRY_S = 60.0
MAX_RETRY_S = 6 * 3600.0
PERMANENT_FAILURE_RETRY_S = 24 * 3600.0
"""A permanent failure, such as of a deleted channel, is retried once a day: it may come back."""

JITTER = 0.25
"""Random share added to a delay, so that channels that failed together are not retried together."""

_MAX_MESSAGE_LENGTH = 1_000
_RELEASE: LiteralString = "run_id = null, heartbeat_at = null"


def retry_delay_s(failures: int, retryable: bool, retry_after_s: float | None = None) -> float:
    """Return the seconds to the next listing after this many failures in a row.

    The delay is 1, 2, 4 minutes and so on up to 6 hours, at least `retry_after_s`, plus up to a
    quarter.
    """
    delay_s = min(FIRST_RETRY_S * 2.0 ** min(failures - 1, 20), MAX_RETRY_S)
    if not retryable:
        delay_s = PERMANENT_FAILURE_RETRY_S
    delay_s = max(delay_s, retry_after_s or 0.0)
    return delay_s * (1.0 + random.uniform(0.0, JITTER))  # noqa: S311 - no secret


class ChannelRuns(dg.ConfigurableResource):
    """Claims, heartbeats and ends of listing runs, and the settlement of lost ones."""

    postgres: Postgres

    @traced("postgres.channel_claim")
    def claim(self, id: str, run_id: str, due_at: str | None = None) -> ChannelRow:
        """Claim the channel for this run; unless it continues a listing, reset the item count.

        Args:
            due_at: `due_time` for which the run was started; None if it was started by hand.

        Raises:
            ChannelNotFound: it was deleted.
            ChannelBusy: another run lists it.
            ClaimLost: it is no longer due for this time.
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
            if row["run_id"] is None and due_at not in (None, due_time(row["next_listing_at"])):
                raise ClaimLost(f"{id} has already been listed: this run has nothing left to do.")
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
        """Record that the run is alive.

        Raises:
            ClaimLost: the run no longer holds the channel.
        """
        with self.postgres.transaction() as connection:
            changed = connection.execute(
                "update ytcaption.channel set heartbeat_at = now() where id = %s and run_id = %s",
                (id, run_id),
            )
            if changed.rowcount == 0:
                raise claim_lost(id)

    def complete(self, id: str, run_id: str, continue_in_s: float | None = None) -> ChannelRow:
        """Record a successful listing, and schedule the next: now if requested meanwhile.

        Args:
            continue_in_s: the history continues after this time; None: it is complete for now.

        Raises:
            ClaimLost: the run no longer holds the channel.
        """
        with self.postgres.transaction() as connection:
            row = claimed_channel(connection, id, run_id)
            now = database_now(connection)
            scheduled_at = channel_row(row).plan.schedule.next_after(now)
            next_at, is_continued = scheduled_at, False
            if row["run_asked_at"] is not None:
                next_at = now
            elif continue_in_s is not None:
                continue_at = now + timedelta(seconds=continue_in_s)
                next_at, is_continued = min((continue_at, True), (scheduled_at, False))
            updated = connection.execute(
                f"""
                update ytcaption.channel
                set {_RELEASE}, next_listing_at = %(next_at)s, is_continued = %(is_continued)s,
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

    def fail(
        self,
        id: str,
        run_id: str,
        code: str,
        message: str,
        retryable: bool,
        retry_after_s: float | None = None,
    ) -> float:
        """Record a failed listing; return the seconds until the next.

        Pages listed before the failure are kept, and the history continues after them.

        Args:
            code, message, retryable, retry_after_s: of a YtcaptionError.

        Raises:
            ClaimLost: the run no longer holds the channel.
        """
        with self.postgres.transaction() as connection:
            row = claimed_channel(connection, id, run_id)
            if code in SITE_ERRORS:
                record_failure(connection, row["site"], run_id, code, retry_after_s, id)
            return _fail(connection, row, code, message, retryable, retry_after_s)

    def postpone(self, run_id: str) -> bool:
        """Release the channel of a canceled run until it is due by its schedule.

        Returns:
            Whether the run held a channel.
        """
        with self.postgres.transaction() as connection:
            row = _row_of_run(connection, run_id)
            if row is not None:
                next_at = channel_row(row).plan.schedule.next_after(database_now(connection))
                connection.execute(
                    f"update ytcaption.channel set {_RELEASE}, next_listing_at = %s "  # noqa: S608
                    "where id = %s",
                    (next_at, row["id"]),
                )
            return row is not None

    def settle_run(self, run_id: str, code: str, message: str) -> bool:
        """Release the channel that an ended run has left claimed; return whether there was one."""
        with self.postgres.transaction() as connection:
            row = _row_of_run(connection, run_id)
            if row is not None:
                _fail(connection, row, code, message, True, None)
            return row is not None

    def settle_unstarted(self, due: DueChannel) -> bool:
        """Schedule the channel again if its run for this time ended before it claimed it.

        Returns:
            Whether that was the case.
        """
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
        """Release the channels of runs without a heartbeat for `silent_s`; return those runs."""
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
                message = f"The run sent no heartbeat for {silent_s:.0f} seconds."
                _fail(connection, row, "run_lost", message, True, None)
            return [LostRun(row["id"], row["run_id"]) for row in rows]


def claimed_channel(connection: Connection[DictRow], id: str, run_id: str) -> DictRow:
    """Return the channel's row, locked until the transaction ends.

    Raises:
        ClaimLost: the run no longer holds the channel.
    """
    row = connection.execute(
        "select * from ytcaption.channel where id = %s and run_id = %s for update", (id, run_id)
    ).fetchone()
    if row is None:
        raise claim_lost(id)
    return row


def claim_lost(id: str) -> ClaimLost:
    """Return the error for a run that writes to a channel it no longer holds."""
    return ClaimLost(
        f"This run no longer holds {id}: the channel was deleted, or another run has taken over. "
        "Nothing was written."
    )


def _row_of_run(connection: Connection[DictRow], run_id: str) -> DictRow | None:
    return connection.execute(
        "select * from ytcaption.channel where run_id = %s for update", (run_id,)
    ).fetchone()


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
        set {_RELEASE}, failures = failures + 1, failing_since = coalesce(failing_since, now()),
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
            "message": clean(message)[:_MAX_MESSAGE_LENGTH],
            "delay_s": delay_s,
        },
    )
    notify(connection, CHANNELS_CHANNEL, row["id"])
    return delay_s
