"""Schedules of channels, over changes to and from summer time."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ytcaption.domain.channels.schedule import Schedule, checked_schedule
from ytcaption.domain.errors import InvalidOption

pytestmark = pytest.mark.unit

BERLIN = ZoneInfo("Europe/Berlin")
MOMENTS = some.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=some.just(UTC))
CRONS = some.builds(
    "{} {} {} {} {}".format,
    some.one_of(some.just("*"), some.integers(0, 59)),
    some.one_of(some.just("*"), some.just("*/6"), some.integers(0, 23)),
    some.one_of(some.just("*"), some.integers(1, 28)),
    some.one_of(some.just("*"), some.integers(1, 12)),
    some.one_of(some.just("*"), some.just("1-5"), some.integers(0, 6)),
)
ZONES = some.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
)


def _local(schedule: Schedule, moment: datetime) -> str:
    return schedule.next_after(moment).astimezone(BERLIN).isoformat()


@given(cron=CRONS, zone=ZONES, moment=MOMENTS)
def test_cron_goes_on_for_ever(cron: str, zone: str, moment: datetime):
    """The next moment is after, in UTC, and nothing comes in between."""
    schedule = checked_schedule(cron=cron, time_zone=zone)
    following = schedule.next_after(moment)
    assert following > moment
    assert following.tzinfo is UTC
    assert schedule.next_after(following - timedelta(seconds=1)) == following


@given(seconds=some.integers(60, 366 * 86_400), moment=MOMENTS)
def test_intervals_are_seconds_whatever_the_clock_does(seconds: int, moment: datetime):
    """An hour is an hour, also in the night that has one more."""
    following = checked_schedule(every=f"{seconds}s", time_zone="Europe/Berlin").next_after(moment)
    assert (following - moment).total_seconds() == seconds


@given(cron=CRONS, zone=ZONES)
def test_it_is_written_and_read(cron: str, zone: str):
    """A schedule survives a round trip through JSON."""
    schedule = checked_schedule(cron=cron, time_zone=zone)
    assert Schedule.from_dict(schedule.to_dict()) == schedule


def test_an_hour_that_is_skipped_is_made_up_for():
    """02:30 does not exist on 29 March 2026 in Berlin."""
    daily = checked_schedule(cron="30 2 * * *", time_zone="Europe/Berlin")
    assert _local(daily, datetime(2026, 3, 28, 12, tzinfo=UTC)) == "2026-03-29T03:00:00+02:00"
    assert _local(daily, datetime(2026, 3, 29, 12, tzinfo=UTC)) == "2026-03-30T02:30:00+02:00"


def test_an_hour_that_comes_twice_counts_once():
    """02:30 comes twice on 25 October 2026 in Berlin."""
    daily = checked_schedule(cron="30 2 * * *", time_zone="Europe/Berlin")
    first = daily.next_after(datetime(2026, 10, 24, 12, tzinfo=UTC))
    assert first.astimezone(BERLIN).isoformat() == "2026-10-25T02:30:00+02:00"
    assert _local(daily, first) == "2026-10-26T02:30:00+01:00"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"every": "15"}, "15m, 6h or 1d"),
        ({"every": "10s"}, "between 1m"),
        ({"every": "999d"}, "and 366d"),
        ({"every": "1h", "cron": "0 * * * *"}, "not both"),
        ({"cron": "* * * * * *"}, "five fields"),
        ({"cron": "61 * * * *"}, "never occurs"),
        ({"cron": "0 0 30 2 *"}, "never occurs"),
        ({"cron": "* " * 5_000}, "five fields"),
        ({"cron": "0 * * * *", "time_zone": "Mars/Olympus"}, "Europe/Berlin"),
        ({"time_zone": "../../etc/passwd"}, "Europe/Berlin"),
        ({"time_zone": "America"}, "Europe/Berlin"),
        ({"time_zone": "\x00"}, "Europe/Berlin"),
        ({"time_zone": "x" * 5_000}, "Europe/Berlin"),
    ],
)
def test_what_is_wrong_is_answered_by_what_is_right(given: dict[str, str], said: str):
    """The error is a sentence with a valid value."""
    with pytest.raises(InvalidOption, match=said):
        checked_schedule(**given)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "every 15m"),
        ({"every": " 90 M "}, "every 90m"),
        ({"every": "48h"}, "every 2d"),
        ({"every": "61s"}, "every 61s"),
        ({"cron": "0  6 * * *", "time_zone": "Asia/Tokyo"}, "cron 0 6 * * * (Asia/Tokyo)"),
    ],
)
def test_it_says_itself_in_words(given: dict[str, str], text: str):
    """Its text is readable for people."""
    assert checked_schedule(**given).text == text
