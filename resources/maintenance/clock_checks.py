"""Checks of times in the database that were noted before its clock was set back.

What waits until a time that was computed by a clock an hour ahead would wait an hour too long, and
a run that died then would count as alive. Each repair keeps the length of the wait.
"""

from collections.abc import Sequence
from typing import LiteralString, NamedTuple

from resources.maintenance.check import Check, Installation, Repaired
from resources.postgres.connection import Postgres
from resources.postgres.notify import WORK_CHANNEL, notify


class _Waits(NamedTuple):
    """Rows of a table that wait for a time.

    Attributes:
        name: of a row, in SQL.
        ahead: whether its times were noted by a clock that was ahead, in SQL.
        corrected: assignments that correct them, in SQL.
        by_api: with the rights of the API; else of runs and sensors.
    """

    table: LiteralString
    name: LiteralString
    ahead: LiteralString
    corrected: LiteralString
    by_api: bool = False


# Longer than any rest of a proxy, lease of a delivery and pause between two alerts may be.
_SOON: LiteralString = "now() + interval '5 s'"
_WAITS = (
    _Waits(
        "transcription",
        "id",
        f"status in ('queued', 'running') and greatest(updated_at, heartbeat_at) > {_SOON}",
        """
        next_attempt_at = case when updated_at > now()
            then now() + greatest(next_attempt_at - updated_at, '0 s') else next_attempt_at end,
        heartbeat_at = least(heartbeat_at, now()), queued_at = least(queued_at, now()),
        started_at = least(started_at, now()), stage_started_at = least(stage_started_at, now()),
        updated_at = least(updated_at, now()),
        working_since = least(working_since, now()),
        -- A trigger adds what was worked until now, which is negative here.
        worked_s = worked_s - case when working_since > now()
            then extract(epoch from now() - working_since) else 0 end
        """,
    ),
    _Waits(
        "channel",
        "id",
        f"greatest(listed_at, heartbeat_at, run_asked_at, failing_since) > {_SOON}",
        """
        next_listing_at = least(next_listing_at, now()), listed_at = least(listed_at, now()),
        heartbeat_at = least(heartbeat_at, now()), run_asked_at = least(run_asked_at, now()),
        failing_since = least(failing_since, now())
        """,
    ),
    _Waits(
        "breaker",
        "site",
        f"opened_at > {_SOON}",
        "probe_at = now() + (probe_at - opened_at), opened_at = now()",
    ),
    _Waits(
        "pace",
        "site",
        f"updated_at > {_SOON}",
        """
        next_at = now() + greatest(next_at - updated_at, '0 s'),
        lists_next_at = now() + greatest(lists_next_at - updated_at, '0 s'),
        rests_until = now() + greatest(rests_until - updated_at, '0 s'), updated_at = now()
        """,
    ),
    _Waits(
        "upstream_proxy",
        "name",
        f"greatest(used_at, worked_at) > {_SOON} or rests_until > now() + interval '1 hour'",
        """
        rests_until = null, used_at = least(used_at, now()), worked_at = least(worked_at, now())
        """,
    ),
    _Waits(
        "delivery",
        "id::text",
        f"""status = 'waiting' and (
            greatest(created_at, leased_until - interval '1 min') > {_SOON}
            or exists (
                select from ytcaption.delivery_attempt
                where delivery_id = delivery.id and at > {_SOON}))""",
        """
        next_attempt_at = now(), created_at = least(created_at, now()),
        lease = null, leased_until = null
        """,
        by_api=True,
    ),
    _Waits(
        "alert",
        "code || ' ' || subject",
        f"next_try_at > {_SOON} + interval '1 hour'",
        "next_try_at = now(), first_at = least(first_at, now()), last_at = least(last_at, now())",
        by_api=True,
    ),
)


def _postgres(installation: Installation, waits: _Waits) -> Postgres:
    return installation.api if waits.by_api else installation.postgres


def _found(installation: Installation) -> list[str]:
    names: list[str] = []
    for waits in _WAITS:
        rows = _postgres(installation, waits).rows(
            f"select {waits.name} as name from ytcaption.{waits.table} "  # noqa: S608
            f"where {waits.ahead} order by 1",
            {},
        )
        names += [f"{waits.table} {row['name']}" for row in rows]
    return names


def _correct(installation: Installation, _names: Sequence[str]) -> Repaired:
    repaired = Repaired()
    for waits in _WAITS:
        with _postgres(installation, waits).transaction() as connection:
            rows = connection.execute(
                f"update ytcaption.{waits.table} set {waits.corrected} "  # noqa: S608
                f"where {waits.ahead} returning {waits.name} as name"
            ).fetchall()
            if rows:
                notify(connection, WORK_CHANNEL, "")
        repaired.done += [f"{waits.table} {row['name']}" for row in rows]
    return repaired


CLOCK_CHECKS = (
    Check(
        "clock_set_back",
        "rows whose times were noted by a clock that was ahead",
        "their waits begin again now",
        _found,
        _correct,
    ),
)
