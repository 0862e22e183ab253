"""How gently bulk work treats a site: pauses, quiet hours, bytes a day, lists a minute."""

import math
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
CoolDownCode = Literal["quiet_hours", "bytes_a_day", "pause"]

_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
_SITE = re.compile(r"[a-z0-9.\-\[\]:]+")


@dataclass(frozen=True)
class PerSite(Generic[T]):
    """A value for all sites, and other values for single sites.

    Attributes:
        others: by site, as `resources.sites.domains.site_of` names it.
    """

    value: T
    others: Mapping[str, T] = field(default_factory=dict)

    def of(self, site: str) -> T:
        """Return the site's value."""
        return self.others.get(site, self.value)

    @classmethod
    def parse(cls, text: str, read: Callable[[str], T], none: T) -> "PerSite[T]":
        """Parse `5,youtube.com=10`.

        Args:
            read: parses one value; raises ValueError.
            none: the value of sites that the text does not mention.

        Raises:
            ValueError: naming the part that is wrong.
        """
        value, others = none, {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            site, equals, text_value = part.rpartition("=")
            if not equals:
                value = read(text_value)
            elif _SITE.fullmatch(site.strip().lower()):
                others[site.strip().lower()] = read(text_value.strip())
            else:
                raise ValueError(f"'{site}' is not a site; write youtube.com={text_value}")
        return cls(value, others)


@dataclass(frozen=True)
class QuietHours:
    """Hours of each day in which no bulk download starts; over midnight where they end earlier
    than they start."""

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> "QuietHours":
        """Parse `23:30-06:00`.

        Raises:
            ValueError: the text has another form.
        """
        match = _HOURS.fullmatch(text)
        if match is None or match.group(1, 2) == match.group(3, 4):
            raise ValueError(f"'{text}' is not a range of hours; write 23:30-06:00")
        hours = [int(part) for part in match.groups()]
        return cls(time(hours[0], hours[1]), time(hours[2], hours[3]))

    def contain(self, at: datetime, zone: tzinfo) -> bool:
        """Return whether the time in the zone lies within the hours, the end excluded."""
        clock = at.astimezone(zone).time()
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end

    def end_after(self, at: datetime, zone: tzinfo) -> datetime:
        """Return the first time after `at`, in UTC, at which they end, across changes of
        summer time."""
        day = at.astimezone(zone).date()
        ends = (
            datetime.combine(day + timedelta(days), self.end, zone)
            .replace(fold=fold)
            .astimezone(UTC)
            for days in range(-1, 4)
            for fold in (0, 1)
        )
        return min(end for end in ends if end > at and not self.contain(end, zone))


@dataclass(frozen=True)
class SiteUse:
    """What was recently downloaded from a site.

    Attributes:
        next_at: when the pause after the last download ends; None: there is no pause.
        bytes_today: of the day that `Pacing.day` returns.
        is_busy: a bulk download from it is running.
    """

    next_at: datetime | None = None
    bytes_today: int = 0
    is_busy: bool = False


@dataclass(frozen=True)
class CoolDown:
    """Why bulk work waits for a site.

    Attributes:
        until: None: until the running download has ended.
    """

    code: CoolDownCode
    until: datetime | None


@dataclass(frozen=True)
class Pacing:
    """The limits of an installation. The default has none.

    Attributes:
        pause_s: from the end of one download to the start of the next bulk one, which is then the
            only one from its site. 0: none.
        jitter: random variation of a pause, as a fraction of it.
        bytes_per_day: no bulk download starts after this many bytes. 0: no limit.
        lists_per_minute: requests for lists. 0: no limit.
        zone: of quiet hours and days.
        proxies: names of the proxies that downloads use; empty: none.
    """

    pause_s: PerSite[float] = PerSite(0.0)
    jitter: float = 0.0
    quiet_hours: PerSite[QuietHours | None] = PerSite(None)
    bytes_per_day: PerSite[float] = PerSite(0.0)
    lists_per_minute: PerSite[float] = PerSite(0.0)
    zone: tzinfo = UTC
    proxies: tuple[str, ...] = ()

    def day(self, now: datetime) -> datetime:
        """Return the midnight before now, when the day of the byte count began."""
        return now.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)

    def drawn_pause_s(self, site: str) -> float:
        """Return the seconds of the next pause."""
        stretch = random.uniform(1 - self.jitter, 1 + self.jitter)  # noqa: S311 - no secret
        return self.pause_s.of(site) * stretch

    def is_one_by_one(self, site: str) -> bool:
        """Return whether bulk downloads from the site run one after the other."""
        return self.pause_s.of(site) > 0

    def is_quiet(self, site: str, now: datetime) -> bool:
        """Return whether the site has quiet hours now."""
        quiet = self.quiet_hours.of(site)
        return quiet is not None and quiet.contain(now, self.zone)

    def cool_down(self, site: str, use: SiteUse, now: datetime) -> CoolDown | None:
        """Return why no bulk download from the site may start now, the longest reason; None: one
        may."""
        waits: list[tuple[CoolDownCode, datetime]] = []
        quiet = self.quiet_hours.of(site)
        if quiet is not None and self.is_quiet(site, now):
            waits.append(("quiet_hours", quiet.end_after(now, self.zone)))
        allowed = self.bytes_per_day.of(site)
        if allowed and use.bytes_today >= allowed:
            tomorrow = datetime.combine(
                self.day(now).date() + timedelta(1), time(), self.zone
            ).astimezone(UTC)
            waits.append(("bytes_a_day", tomorrow))
        if self.is_one_by_one(site) and use.next_at is not None and use.next_at > now:
            waits.append(("pause", use.next_at))
        if waits:
            code, until = max(waits, key=lambda each: each[1])
            return CoolDown(code, until)
        return CoolDown("pause", None) if self.is_one_by_one(site) and use.is_busy else None


UNPACED = Pacing()
"""No limits."""


def not_negative(text: str) -> float:
    """Parse a number of 0 or more.

    Raises:
        ValueError: it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ValueError(f"'{text}' is not a number of 0 or more")
    return number


def seconds_until(at: datetime | None, now: datetime) -> float:
    """Return the seconds from now until a time; 0 where there is none, or it is past."""
    return 0.0 if at is None else max((at - now).total_seconds(), 0.0)
