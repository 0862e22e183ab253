"""Numbers in reports."""

import pytest

from resources.reports.plots import short_number

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.2854, "0.285"), (12.34, "12.3"), (1481.6, "1,482"), (146_210.0, "146,210")],
)
def test_numbers_have_no_exponent(value: float, text: str):
    """This also holds for large numbers."""
    assert short_number(value) == text
