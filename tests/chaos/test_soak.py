"""The checks of a soak notice what grows, and a short soak."""

from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from tests.chaos.outcome import print_outcome
from tests.chaos.soak import CLIPS, Sample, Soak, Usage


def usage(**growing: float) -> Usage:
    """Thirty samples, in which each named value grows by so much from one to the next."""

    def value(name: str, number: int, base: float) -> float:
        return base + number * growing.get(name, 0.0)

    return Usage(
        [
            Sample(
                number * 15.0,
                value("mib", number, 1_000),
                int(value("descriptors", number, 100)),
                int(value("files", number, 50)),
                Counter(
                    {
                        "ytcaption.segment": int(value("segment", number, 10)),
                        "ytcaption.event": 10 * number,
                    }
                ),
            )
            for number in range(30)
        ]
    )


@pytest.mark.unit
@pytest.mark.parametrize(
    ("name", "each"), [("mib", 30.0), ("descriptors", 4.0), ("files", 4.0), ("segment", 4.0)]
)
def test_what_grows_is_found(name: str, each: float) -> None:
    """Memory, descriptors, files and rows."""
    (sentence,) = usage(**{name: each}).grown()
    assert name in sentence


@pytest.mark.unit
def test_what_stays_or_may_grow_is_no_error() -> None:
    """Some noise, and tables that keep a history."""
    assert usage().grown() == []
    assert usage(mib=1.0, descriptors=0.1).grown() == []


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(1200)
def test_nothing_grows_in_ten_minutes(
    model_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request every five seconds, beside kills and disturbances."""
    monkeypatch.setenv("YTCAPTION_MODEL_DIRECTORY", str(model_home))
    soak = Soak(seed=3, count=CLIPS, storm_s=600, limit_s=1100, console=Console())
    soak.every_s = 5.0
    outcome = soak.run(tmp_path / "up.log")
    print_outcome(outcome, tmp_path / "up.log", Console())
    assert outcome.is_sound, outcome.wrong
