"""Which reports of progress become events."""

import pytest

from ytcaption.domain.progress_milestones import GAP_S, Milestones

pytestmark = pytest.mark.unit


def milestones(took_s: float, total: float | None = 3_600.0, every_s: float = 0.5) -> list[float]:
    """Seconds since the start of those that are new, where reports come at an even speed."""
    milestones = Milestones(100.0)
    times = [number * every_s for number in range(int(took_s / every_s) + 1)]
    return [
        at_s
        for at_s in times
        if milestones.is_new((total or 0.0) * at_s / took_s, total, 100.0 + at_s)
    ]


def test_each_tenth_of_a_long_stage_is_reported_once():
    """Nine: its end has an event of its own."""
    assert milestones(1_000.0) == [100.0 * tenth for tenth in range(1, 10)]


def test_a_quick_stage_is_reported_at_most_every_ten_seconds():
    """Of one that is over before, nothing is told."""
    times = milestones(30.0)
    assert times == [10.0, 20.0]
    assert milestones(GAP_S - 1) == []


def test_what_goes_on_from_a_checkpoint_begins_there():
    """The tenths that an earlier attempt has made are not told one after the other."""
    milestones = Milestones(0.0)
    assert not milestones.is_new(65.0, 100.0, 1.0)
    assert milestones.is_new(66.0, 100.0, 11.0)
    assert not milestones.is_new(67.0, 100.0, 30.0)


def test_without_a_known_length_there_are_no_tenths():
    """With a known length, the end and what follows it are none, either."""
    assert milestones(1_000.0, total=None) == []
    assert not Milestones(0.0).is_new(100.0, 100.0, 50.0)
    assert not Milestones(0.0).is_new(120.0, 100.0, 50.0)
