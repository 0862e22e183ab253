"""The header Retry-After in both its forms."""

from datetime import UTC, datetime

import pytest

from ytcaption.domain.retry_after import retry_after_s

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("9" * 400, 9_999_999_999),
        ("Wed, 25 Nov 2026 12:01:30 GMT", 90),
        ("Wed, 25 Nov 2026 13:01:30 +0100", 90),
        ("Wed, 25 Nov 2026 12:01:30 -0000", 90),
        ("Wed, 25 Nov 2026 11:00:00 GMT", 0),
        ("", None),
        (None, None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("Wed, 99 Nov 2026 12:01:30 GMT", None),
        ("Tue, 99 Nov 9999999999 00:00:00 GMT", None),
        ("Wed, 25 Nov 2026 12:01:30 -99999999999999", None),
    ],
)
def test_the_header_is_a_number_of_seconds_or_a_date(value: str | None, seconds: float | None):
    """The result is in seconds from now on, at least 0; None for an invalid header."""
    assert retry_after_s(value, NOW) == seconds
