"""Why a queued transcription waits for its site, and not only for its turn in the queue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, LiteralString

from resources.postgres.connection import Postgres
from ytcaption.domain.errors import SourcePaused, SourceThrottled

WAITING_FOR: LiteralString = """
    case when status = 'queued' then coalesce((
        select jsonb_build_object('site', site, 'failures', failures, 'probe_at', probe_at)
        from ytcaption.breaker where site = source_site and opened_at is not null
    ), (
        select jsonb_build_object('site', site, 'rest', rest_code, 'until', rests_until)
        from ytcaption.pace where site = source_site and priority = 'bulk'
            and rest_code is not null and (rests_until is null or rests_until > now())
    )) end
"""
"""SQL: the value that `waiting_of` reads, for a row of `ytcaption.transcription`."""


@dataclass(frozen=True)
class Waiting:
    """The reason why a transcription waits.

    Attributes:
        code: stable: `source_paused` or `source_resting`.
        message: for a person.
        until: when it may start; None: when an operator resumes the site, or another download ends.
    """

    code: str
    message: str
    until: datetime | None


def waiting_message(site: str, failures: int, probe_at: datetime | None) -> str:
    """Return, for a person, why no download from a site starts."""
    if probe_at is None:
        return f"An operator has stopped downloads from {site}. They continue once it is resumed."
    return (
        f"{site} has refused or failed {failures} times in a row, so downloads from it wait. "
        f"The next try is at {probe_at:%H:%M:%S} UTC or soon after."
    )


def throttle_message(site: str, code: str, until: datetime | None) -> str:
    """Return, for a person, why bulk downloads from a site wait.

    Args:
        code: a `CoolDownCode`.
    """
    if until is None:
        return f"Bulk downloads from {site} run one after the other, and one is in progress."
    reason = {
        "quiet_hours": f"These are the quiet hours of {site}",
        "bytes_a_day": f"The bytes allowed from {site} today are used up",
        "pause": f"There is a pause between downloads from {site}",
    }[code]
    return f"{reason}: bulk work continues at {until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC."


def waiting_of(value: Mapping[str, Any] | None) -> Waiting | None:
    """Return the reason that a value of `WAITING_FOR` states."""
    if value is None:
        return None
    if "rest" in value:
        until = datetime.fromisoformat(value["until"]) if value["until"] else None
        message = throttle_message(value["site"], value["rest"], until)
        return Waiting(SourceThrottled.code, message, until)
    probe_at = datetime.fromisoformat(value["probe_at"]) if value["probe_at"] else None
    message = waiting_message(value["site"], value["failures"], probe_at)
    return Waiting(SourcePaused.code, message, probe_at)


def waiting_for(postgres: Postgres, ids: Sequence[str]) -> dict[str, Waiting]:
    """Return the reasons of those transcriptions that wait for their site, by id.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    rows = postgres.rows(
        f"select id, {WAITING_FOR} as waiting_for from ytcaption.transcription "  # noqa: S608
        "where id = any(%(ids)s) and status = 'queued'",
        {"ids": list(ids)},
    )
    reasons = {row["id"]: waiting_of(row["waiting_for"]) for row in rows}
    return {id: waiting for id, waiting in reasons.items() if waiting is not None}
