"""When bulk work may take more of a site: pure arithmetic of clocks and counts."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytcaption.domain.media.pacing import (
    UNPACED,
    CoolDown,
    Pacing,
    PerSite,
    QuietHours,
    SiteUse,
    not_negative,
    seconds_until,
)

pytestmark = pytest.mark.unit

SITE = "youtube.com"
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
minutes = st.integers(0, 24 * 60 - 1).map(lambda at: time(at // 60, at % 60))
hours = st.tuples(minutes, minutes).filter(lambda ends: ends[0] != ends[1])
moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


def quiet(text: str, zone: str = "UTC") -> Pacing:
    return Pacing(quiet_hours=PerSite(QuietHours.parse(text)), zone=ZoneInfo(zone))


@given(hours, moments, st.sampled_from(ZONES))
def test_bulk_never_starts_in_quiet_hours_and_always_after_them(hours, now, zone):
    """Whatever the clocks do, summer time in the middle of them too: what is told as their end is
    not in them, is ahead, and less than two days away."""
    pacing = Pacing(quiet_hours=PerSite(QuietHours(*hours)), zone=ZoneInfo(zone))
    shown = now.astimezone(ZoneInfo(zone)).time()
    start, end = hours
    is_quiet = start <= shown < end if start < end else not end <= shown < start
    cool_down = pacing.cool_down(SITE, SiteUse(), now)
    assert (cool_down is not None) is is_quiet
    if cool_down is not None:
        assert cool_down.until is not None
        assert now < cool_down.until < now + timedelta(days=2)
        assert pacing.cool_down(SITE, SiteUse(), cool_down.until) is None


@pytest.mark.parametrize(
    ("hours", "zone", "now", "until"),
    [
        ("08:00-18:00", "UTC", "2026-11-26T12:00", "2026-11-26T18:00"),
        ("08:00-18:00", "UTC", "2026-11-26T08:00", "2026-11-26T18:00"),
        ("23:00-06:00", "UTC", "2026-11-26T23:00", "2026-11-27T06:00"),
        ("23:00-06:00", "UTC", "2026-11-26T23:30", "2026-11-27T06:00"),
        ("23:00-06:00", "UTC", "2026-11-27T05:59", "2026-11-27T06:00"),
        ("08:00-18:00", "Europe/Berlin", "2026-11-26T16:30", "2026-11-26T17:00"),
        # The hour from 2 to 3 comes twice, and never.
        ("01:00-02:30", "Europe/Berlin", "2026-10-25T00:29", "2026-10-25T00:30"),
        ("01:00-02:30", "Europe/Berlin", "2026-10-25T01:10", "2026-10-25T01:30"),
        ("01:00-02:30", "Europe/Berlin", "2026-03-29T00:10", "2026-03-29T01:30"),
        # The only free half hour of a day is in the one that never comes.
        ("03:00-02:30", "Europe/Berlin", "2026-03-28T12:00", "2026-03-30T00:30"),
    ],
)
def test_quiet_hours_end_when_clocks_say_so(hours: str, zone: str, now: str, until: str):
    """Over midnight, in another zone, and on the days on which clocks are changed."""
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    cool_down = quiet(hours, zone).cool_down(SITE, SiteUse(), at)
    assert cool_down == CoolDown("quiet_hours", datetime.fromisoformat(until).replace(tzinfo=UTC))


def test_the_longest_reason_is_returned():
    """A pause within quiet hours is no matter; after the daily bytes it is the day that counts."""
    pacing = Pacing(
        pause_s=PerSite(10.0),
        quiet_hours=PerSite(QuietHours.parse("08:00-18:00")),
        bytes_per_day=PerSite(1000.0),
    )
    use = SiteUse(NOON + timedelta(seconds=5), 999, is_busy=True)
    assert pacing.cool_down(SITE, use, NOON) == CoolDown("quiet_hours", NOON.replace(hour=18))
    full = SiteUse(None, 1000)
    tomorrow = NOON.replace(day=27, hour=0)
    assert pacing.cool_down(SITE, full, NOON) == CoolDown("bytes_a_day", tomorrow)
    evening = NOON.replace(hour=19)
    assert pacing.cool_down(SITE, SiteUse(evening + timedelta(seconds=5)), evening) == CoolDown(
        "pause", evening + timedelta(seconds=5)
    )
    assert pacing.cool_down(SITE, SiteUse(evening, 0, is_busy=True), evening) == CoolDown(
        "pause", None
    )
    assert pacing.cool_down(SITE, SiteUse(evening), evening) is None


def test_a_day_is_one_of_the_zone():
    """Its bytes count from midnight there."""
    pacing = Pacing(bytes_per_day=PerSite(1.0), zone=ZoneInfo("Asia/Tokyo"))
    cool_down = pacing.cool_down(SITE, SiteUse(None, 1), NOON)
    assert cool_down == CoolDown("bytes_a_day", datetime(2026, 11, 26, 15, tzinfo=UTC))
    just_before, just_after = (
        datetime(2026, 11, 26, hour, minute, second, 999_999, tzinfo=UTC)
        for hour, minute, second in ((14, 59, 59), (15, 0, 0))
    )
    assert pacing.day(just_before) == datetime(2026, 11, 25, 15, tzinfo=UTC)
    assert pacing.day(just_after) == datetime(2026, 11, 26, 15, tzinfo=UTC)


@pytest.mark.parametrize("hour", [4, 5, 6])
def test_a_day_begins_once_where_midnight_comes_twice(hour: int):
    """At one o'clock Havana sets its clocks back to midnight; the bytes of that hour count."""
    pacing = Pacing(zone=ZoneInfo("America/Havana"))
    began = pacing.day(datetime(2026, 11, 1, hour, 30, tzinfo=UTC)).astimezone(UTC)
    assert began == datetime(2026, 11, 1, 4, tzinfo=UTC)


def test_without_settings_nothing_rests():
    """Whatever a site has given, and while others download from it."""
    use = SiteUse(NOON + timedelta(days=1), 10**15, is_busy=True)
    assert UNPACED.cool_down(SITE, use, NOON) is None


def test_limits_of_one_site_are_not_those_of_another():
    """Quiet hours, bytes and pauses, each set for one site alone."""
    pacing = Pacing(
        pause_s=PerSite(0.0, {"paused.org": 0.5}),
        quiet_hours=PerSite(None, {"quiet.org": QuietHours.parse("08:00-18:00")}),
        bytes_per_day=PerSite(0.0, {"full.org": 1000.0}),
    )
    soon = NOON + timedelta(seconds=1)
    use = SiteUse(soon, 1000, is_busy=True)
    sites = ("paused.org", "quiet.org", "full.org", "free.org")
    assert [pacing.cool_down(site, use, NOON) for site in sites] == [
        CoolDown("pause", soon),
        CoolDown("quiet_hours", NOON.replace(hour=18)),
        CoolDown("bytes_a_day", NOON.replace(day=27, hour=0)),
        None,
    ]
    assert pacing.cool_down("paused.org", SiteUse(is_busy=True), NOON) == CoolDown("pause", None)
    assert [pacing.is_quiet(site, NOON) for site in sites] == [False, True, False, False]


def test_pauses_vary_by_as_much_as_is_set():
    """Around the pause of the site, never below nothing."""
    pacing = Pacing(pause_s=PerSite(0.0, {SITE: 10.0}), jitter=0.5)
    drawn = [pacing.drawn_pause_s(SITE) for _ in range(500)]
    assert 5 <= min(drawn) < 6 and 14 < max(drawn) <= 15
    assert pacing.drawn_pause_s("vimeo.com") == 0


def test_a_setting_for_all_sites_and_others_for_some():
    """A value without a site is for all other sites."""
    parsed = PerSite.parse("5, YouTube.com=10,a.org:8080=0.5", not_negative, 0.0)
    assert [parsed.of(site) for site in (SITE, "a.org:8080", "b.org")] == [10, 0.5, 5]
    assert PerSite.parse("", not_negative, 0.0).of(SITE) == 0
    only = PerSite.parse("youtube.com=22:00-06:00", QuietHours.parse, None)
    assert only.of(SITE) == QuietHours(time(22), time(6)) and only.of("b.org") is None


def test_zero_switches_a_limit_off_for_a_site():
    """It overrides the value of all sites."""
    parsed = PerSite.parse("5,youtube.com=0", not_negative, 0.0)
    assert not Pacing(pause_s=parsed).is_one_by_one(SITE)
    assert Pacing(pause_s=parsed).is_one_by_one("b.org")


def test_hours_are_read_to_the_minute():
    """Both ends."""
    assert QuietHours.parse("23:30-06:45") == QuietHours(time(23, 30), time(6, 45))


@pytest.mark.parametrize(("at_s", "expected"), [(None, 0), (-5, 0), (0, 0), (0.5, 0.5), (90, 90)])
def test_a_wait_is_never_negative(at_s: float | None, expected: float):
    """A time that is past, or that there is not, needs no wait."""
    at = None if at_s is None else NOON + timedelta(seconds=at_s)
    assert seconds_until(at, NOON) == expected


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "ten", "youtube.com=", "a b=5", "=5"])
def test_what_is_no_number_is_refused(text: str):
    """The error names the part that is wrong."""
    with pytest.raises(ValueError, match=r"is not a number of 0 or more|is not a site"):
        PerSite.parse(text, not_negative, 0.0)


@pytest.mark.parametrize("text", ["8-18", "08:00", "08:00-24:00", "08:00-08:00", "8:00-9:00"])
def test_what_are_no_hours_is_refused(text: str):
    """The error gives a valid example."""
    with pytest.raises(ValueError, match="write 23:30-06:00"):
        QuietHours.parse(text)
