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
    ],
)
def test_it_is_so_many_seconds(value: str | None, seconds: float | None):
    """From now on, never less than none; what means nothing is None."""
    assert retry_after_s(value, NOW) == seconds
