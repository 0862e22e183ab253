"""The header Retry-After (RFC 9110 section 10.2.3)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_s(value: str | None, now: datetime) -> float | None:
    """Return the seconds to wait, from a number of seconds or an HTTP date; None where it has
    neither.

    Args:
        now: time-zone aware; a date is counted from it.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:10])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError):  # a year of ten digits overflows
        return None
    if at.tzinfo is None:  # `-0000`: UTC, by RFC 5322
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
