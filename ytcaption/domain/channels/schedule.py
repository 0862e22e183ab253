"""When a channel is polled: at an interval, or by cron in its time zone."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Self
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from ytcaption.domain.errors import InvalidOption

SHORTEST_S = 60.0
LONGEST_S = 366 * 86_400.0
DEFAULT_EVERY = "15m"

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_EVERY = re.compile(r"(\d{1,9})\s*([smhdw])")
_LONGEST_CRON = 200


@dataclass(frozen=True)
class Schedule:
    """Either `every_s` or `cron`; made by `checked_schedule()`.

    Attributes:
        every_s: seconds between polls.
        cron: five fields, as Debian's cron reads them: a fixed hour that the change to summer time
            skips runs right after it, one that comes twice runs once.
        time_zone: IANA name in which `cron` is read.
    """

    every_s: float | None = None
    cron: str | None = None
    time_zone: str = "UTC"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Parse the output of `to_dict`."""
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values, set ones only."""
        return {name: value for name, value in vars(self).items() if value and name in _FIELDS}

    def next_after(self, after: datetime) -> datetime:
        """Return the first time after a time-zone aware one, in UTC."""
        if self.cron is None:
            assert self.every_s is not None
            return after.astimezone(UTC) + timedelta(seconds=self.every_s)
        return next(CronSim(self.cron, after.astimezone(self._zone))).astimezone(UTC)

    @property
    def text(self) -> str:
        """Return the schedule in words."""
        if self.cron is not None:
            return f"cron {self.cron} ({self.time_zone})"
        seconds = self.every_s or 0.0
        unit_s, unit = max((s, unit) for unit, s in _UNITS_S.items() if not seconds % s)
        return f"every {seconds / unit_s:.0f}{unit}"

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


_FIELDS = tuple(Schedule.__dataclass_fields__)


def checked_schedule(
    *, every: str | None = None, cron: str | None = None, time_zone: str | None = None
) -> Schedule:
    """Return a schedule that occurs, from a person's input; without any, every 15 minutes.

    Args:
        every: a number and its unit, s, m, h, d or w: `15m`, `6h`, `1d`.
        cron: five fields, `30 6 * * 1-5`.
        time_zone: IANA name; None: UTC.

    Raises:
        InvalidOption: with what would be right.
    """
    if every and cron:
        raise InvalidOption("Give either an interval or a cron expression, not both.")
    zone = _checked_zone(time_zone or "UTC")
    if not cron:
        return Schedule(every_s=_seconds(every or DEFAULT_EVERY), time_zone=zone.key)
    fields = " ".join(cron.split())
    if len(fields) > _LONGEST_CRON or len(fields.split(" ")) != 5:
        raise InvalidOption(
            "A cron expression has five fields, minute, hour, day, month and weekday: "
            "'30 6 * * 1-5' is 6:30 from Monday to Friday."
        )
    schedule = Schedule(cron=fields, time_zone=zone.key)
    try:
        schedule.next_after(datetime(2000, 1, 1, tzinfo=UTC))
    except (CronSimError, StopIteration) as error:
        what = f": {error}" if str(error) else ""
        raise InvalidOption(
            f"The cron expression '{fields[:60]}' never occurs{what}. "
            "'30 6 * * 1-5' is 6:30 from Monday to Friday."
        ) from error
    return schedule


def _seconds(every: str) -> float:
    match = _EVERY.fullmatch(every.strip().lower())
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise InvalidOption(
            f"'{every[:40]}' is not an interval between 1m and 366d. Write a number and its unit: "
            "15m, 6h or 1d."
        )
    return float(seconds)


def _checked_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError of no file
        raise _unknown_zone(name) from error
    except KeyError as error:
        raise _unknown_zone(name) from error


def _unknown_zone(name: str) -> InvalidOption:
    return InvalidOption(
        f"Unknown time zone '{name[:40]}'. Give an IANA name such as Europe/Berlin or UTC."
    )
