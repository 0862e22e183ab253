"""Decide which of a channel's items are included, and why the others are not."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Literal

import re2

from ytcaption.domain.channels.channel import ChannelFilters, ListedItem
from ytcaption.domain.errors import InvalidOption

ItemState = Literal["new", "queued", "filtered", "waiting", "refused", "gone", "erased"]
"""`new`: to be included; `queued`: a request was made; `filtered`: excluded; `waiting`: live, not
over yet; `refused`: unavailable or not accepted; `gone`: was listed, and is private or deleted now
(people read `missing`); `erased`: its transcription was erased, and it is never included again.
"""

NOT_NEWEST = "not_newest"
"""Reason of an item that is older than the newest ones that are wanted."""

MISSING = "missing"
"""Reason of an item that the list no longer shows, without further information."""

UNAVAILABLE_FOR_GOOD = frozenset({"private", "deleted", MISSING})
"""Reasons for which an item is unavailable to everybody for good."""

LONGEST_EXPRESSION = 500
_EXPRESSION_BYTES = 4 * 1024 * 1024  # that re2 may take to compile and to run one


@dataclass(frozen=True)
class Verdict:
    """The decision on an item that has no transcription yet.

    Attributes:
        reason: a word, such as `title`, `too_short` or `private`; None for an included item.
    """

    state: ItemState
    reason: str | None = None


def verdict(item: ListedItem, filters: ChannelFilters, now: datetime) -> Verdict:
    """Decide by the item alone; the limit to the newest items needs the whole list.

    Args:
        now: time-zone aware; items to be published later wait.
    """
    if item.unavailable is not None:
        is_missing = item.unavailable in UNAVAILABLE_FOR_GOOD
        return Verdict("gone" if is_missing else "refused", item.unavailable)
    reason = exclusion_reason(item, filters, now)
    if reason is not None:
        return Verdict("filtered", reason)
    if item.live in ("upcoming", "live"):
        return Verdict("waiting", item.live)
    if item.published_at is not None and item.published_at > now:
        return Verdict("waiting", "upcoming")
    return Verdict("new")


def exclusion_reason(item: ListedItem, filters: ChannelFilters, now: datetime) -> str | None:
    """Return the first filter that excludes the item, as a word; None where it passes all.

    Facts that the listing does not state pass.

    Args:
        now: time-zone aware; later publishing dates, which only announce, are ignored.
    """
    title = item.source.title or ""
    if filters.skip_live and item.live is not None:
        return "live"
    if filters.skip_shorts and item.is_short:
        return "short"
    if filters.title_include and not _expression(filters.title_include).search(title):
        return "title"
    if filters.title_exclude and _expression(filters.title_exclude).search(title):
        return "title_excluded"
    duration_s = item.duration_s
    if duration_s is not None and item.live != "live":  # a live one has some of it so far
        if filters.min_duration_s is not None and duration_s < filters.min_duration_s:
            return "too_short"
        if filters.max_duration_s is not None and duration_s > filters.max_duration_s:
            return "too_long"
    published_at = item.published_at
    if filters.from_date and published_at and published_at <= now:
        day = published_at.astimezone(UTC).date()
        if day < filters.from_date:
            return "too_old"
    return None


def asks_for_facts(item: ListedItem) -> bool:
    """Return whether too little is known of an item to include it.

    Feeds of video sites state neither a video's length, nor that a premiere is only announced.
    """
    return item.unavailable is None and item.duration_s is None and item.live is None


def checked_filters(
    *,
    title_include: str | None = None,
    title_exclude: str | None = None,
    min_duration_s: float | None = None,
    max_duration_s: float | None = None,
    from_date: date | None = None,
    newest: int | None = None,
    skip_shorts: bool = False,
    skip_live: bool = False,
) -> ChannelFilters:
    """Return filters that can be applied, from a person's input.

    Raises:
        InvalidOption: with what would be right.
    """
    for name, expression in (("title_include", title_include), ("title_exclude", title_exclude)):
        if expression:
            _check_expression(name, expression)
    for name, seconds in (("min_duration_s", min_duration_s), ("max_duration_s", max_duration_s)):
        if seconds is not None and not 0 <= seconds < 1e9:  # NaN is refused, too
            raise InvalidOption(f"{name} is a number of seconds, 0 or more.")
    if (
        min_duration_s is not None
        and max_duration_s is not None
        and min_duration_s > max_duration_s
    ):
        raise InvalidOption("min_duration_s is greater than max_duration_s: nothing would pass.")
    if newest is not None and not 1 <= newest <= 1_000_000:
        raise InvalidOption("newest is a whole number from 1 to 1,000,000.")
    return ChannelFilters(
        title_include=title_include or None,
        title_exclude=title_exclude or None,
        min_duration_s=min_duration_s,
        max_duration_s=max_duration_s,
        from_date=from_date,
        newest=newest,
        skip_shorts=skip_shorts,
        skip_live=skip_live,
    )


def _check_expression(name: str, expression: str) -> None:
    if len(expression) > LONGEST_EXPRESSION:
        raise InvalidOption(f"{name} is longer than {LONGEST_EXPRESSION} characters.")
    try:
        _expression(expression)
    except (re2.error, UnicodeError) as error:
        detail = error.args[0] if error.args else ""
        detail = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
        raise InvalidOption(
            f"{name} is no regular expression that can be used: {detail}. RE2's syntax is meant, "
            "which has no look-around and no back-references; 'part [0-9]+|trailer' is one."
        ) from error


@lru_cache(maxsize=512)
def _expression(expression: str) -> re2._Regexp:
    """Compile with RE2: its time is linear in the text, whatever the expression, so none can
    hang."""
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _EXPRESSION_BYTES
    return re2.compile(expression, options)
