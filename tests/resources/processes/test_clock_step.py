"""Steps of the wall clock."""

import time

import pytest

from resources.processes.clock_step import StepDetector, age_s

pytestmark = pytest.mark.unit


def test_a_step_in_either_direction_is_reported_once(monkeypatch):
    """A correction of a second is none, and time that passes is none."""
    offset_s = 0.0
    detector = StepDetector(lambda: time.monotonic() + offset_s)
    assert detector.step_s() == 0.0
    for step_s in (3_600.0, -7_200.0, 86_400.0):
        offset_s += step_s
        assert detector.step_s() == pytest.approx(step_s, abs=1.0)
        assert detector.step_s() == 0.0
    offset_s += 1.0
    assert detector.step_s() == 0.0


def test_a_time_in_the_future_is_old():
    """It was noted before the clock was set back."""
    assert age_s(time.time() + 3_600) == pytest.approx(3_600, abs=5)
    assert age_s(time.time() - 3_600) == pytest.approx(3_600, abs=5)
