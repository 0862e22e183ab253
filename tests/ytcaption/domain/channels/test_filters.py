"""Which items are taken, and why the others are not."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from resources.channels.verdicts import Judge
from tests.support.channel_lists import item
from tests.support.patience import patience
from ytcaption.domain.channels.channel import ChannelFilters
from ytcaption.domain.channels.filters import checked_filters, exclusion_reason, verdict
from ytcaption.domain.errors import InvalidOption

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
FILTERS = some.builds(
    checked_filters,
    title_include=some.sampled_from([None, "part", "^part [0-9]+$", "x|y"]),
    title_exclude=some.sampled_from([None, "trailer", "[0-4]$"]),
    min_duration_s=some.sampled_from([None, 0.0, 30.0]),
    max_duration_s=some.sampled_from([None, 60.0, 600.0]),
    from_date=some.sampled_from([None, date(2026, 1, 1)]),
    newest=some.sampled_from([None, 1, 3]),
    skip_shorts=some.booleans(),
    skip_live=some.booleans(),
)
ITEMS = some.builds(
    item,
    some.integers(1, 9_999),
    title=some.one_of(some.none(), some.text(max_size=30), some.just("Part 7")),
    published_at=some.one_of(some.none(), some.datetimes(timezones=some.just(UTC))),
    duration_s=some.one_of(some.none(), some.floats(0, 1e5)),
    is_short=some.booleans(),
    live=some.sampled_from([None, "upcoming", "live", "over"]),
    unavailable=some.sampled_from([None, "private", "deleted", "members_only", "refused"]),
)


@given(filters=FILTERS, listed=ITEMS)
def test_only_what_passes_all_is_taken(filters: ChannelFilters, listed: Any):
    """Nothing that is not over, nothing that cannot be had; each verdict has its reason."""
    found = verdict(listed, filters, NOW)
    assert (found.state == "new") == (found.reason is None)
    if found.state == "new":
        assert exclusion_reason(listed, filters, NOW) is None
        assert listed.unavailable is None
        assert listed.live in (None, "over")
        assert listed.published_at is None or listed.published_at <= NOW
    if found.state == "filtered":
        assert found.reason == exclusion_reason(listed, filters, NOW)
    if found.state == "gone":
        assert listed.unavailable in ("private", "deleted")


@given(filters=FILTERS, listed=some.lists(ITEMS, max_size=12))
def test_no_more_are_taken_than_the_newest_that_are_wanted(filters: ChannelFilters, listed: Any):
    """And none is left out for that before there are as many."""
    judge, taken = Judge(filters, NOW), 0
    for each in listed:
        found = judge.verdict(each)
        assert (found.reason == "not_newest") <= (taken == filters.newest)
        taken += found.state in ("new", "waiting")
    assert filters.newest is None or taken <= filters.newest


@given(filters=FILTERS)
def test_they_are_written_and_read(filters: ChannelFilters):
    """Filters survive a round trip through JSON."""
    assert ChannelFilters.from_dict(filters.to_dict()) == filters


@pytest.mark.parametrize(
    ("filters", "listed", "reason"),
    [
        ({"title_include": "news"}, {"title": "The NEWS of today"}, None),
        ({"title_include": "news"}, {"title": "Music"}, "title"),
        ({"title_include": "news"}, {"title": None}, "title"),
        ({"title_exclude": "trailer|teaser"}, {"title": "A Teaser"}, "title_excluded"),
        ({"title_include": "ÄRZTE"}, {"title": "Die ärzte"}, None),
        ({"min_duration_s": 60}, {"duration_s": 59.9}, "too_short"),
        ({"min_duration_s": 60}, {"duration_s": None}, None),
        ({"min_duration_s": 60}, {"duration_s": 5.0, "live": "live"}, None),
        ({"max_duration_s": 60}, {"duration_s": 60.1}, "too_long"),
        ({"from_date": date(2026, 11, 1)}, {"published_at": NOW - timedelta(days=30)}, "too_old"),
        ({"from_date": date(2026, 11, 1)}, {"published_at": NOW}, None),
        ({"from_date": date(2027, 11, 1)}, {"published_at": NOW + timedelta(days=1)}, None),
        ({"from_date": date(2026, 11, 1)}, {"published_at": None}, None),
        ({"skip_shorts": True}, {"is_short": True}, "short"),
        ({"skip_live": True}, {"live": "over"}, "live"),
        ({"skip_live": True}, {"live": "upcoming"}, "live"),
    ],
)
def test_each_filter_says_why(filters: dict[str, Any], listed: dict[str, Any], reason: str | None):
    """The reason of an excluded item is one word."""
    assert exclusion_reason(item(1, **listed), checked_filters(**filters), NOW) == reason


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"title_include": "("}, "title_include is no regular expression"),
        ({"title_exclude": "(?=x)"}, "no look-around"),
        ({"title_exclude": r"(a)\1"}, "back-references"),
        ({"title_include": "x" * 501}, "longer than 500"),
        ({"title_include": "((a{1000}){1000}){1000}"}, "no regular expression"),
        ({"title_include": "\ud800"}, "no regular expression"),
        ({"min_duration_s": -1}, "0 or more"),
        ({"max_duration_s": float("nan")}, "0 or more"),
        ({"min_duration_s": 9, "max_duration_s": 3}, "nothing would pass"),
        ({"newest": 0}, "from 1 to"),
    ],
)
def test_what_is_wrong_is_answered_by_what_is_right(given: dict[str, Any], said: str):
    """The error is a sentence with a valid value."""
    with pytest.raises(InvalidOption, match=said):
        checked_filters(**given)


def test_no_expression_hangs():
    """What takes Python's own engine longer than the age of the universe takes a moment."""
    filters = checked_filters(title_include="^(a+)+$", title_exclude="(x+x+)+y")
    began = time.perf_counter()
    assert exclusion_reason(item(1, title="a" * 50_000 + "!"), filters, NOW) == "title"
    assert exclusion_reason(item(1, title="a" * 50_000), filters, NOW) is None
    assert time.perf_counter() - began < 2 * patience()
