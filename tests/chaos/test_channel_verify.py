"""The checks of a channel after a storm detect what is wrong."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.chaos.channel_verify import interactive_came_first, overtaken_by
from tests.chaos.verify import Facts
from ytcaption.domain.events import EventType
from ytcaption.settings.settings import Settings

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
QUEUED, STARTED, RETRIED = EventType.QUEUED, EventType.STARTED, EventType.RETRIED
COMPLETED = EventType.TRANSCRIPTION_COMPLETED
INTERACTIVE = [(10, QUEUED), (12, STARTED), (14, COMPLETED)]


def facts(**events: list[tuple[int, EventType]]) -> Facts:
    """Return the state of transcriptions whose events are given in seconds after noon."""
    rows = {id: {"id": id, "status": "completed", "error_message": None} for id in events}
    stored = {
        id: [
            {"event_type": kind.value, "timestamp": NOON + timedelta(seconds=at)}
            for at, kind in each
        ]
        for id, each in events.items()
    }
    settings = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
    return Facts(settings, rows, stored, [], {}, set(), 0)


@pytest.mark.parametrize(
    ("other", "waited", "began"),
    [
        ([(1, QUEUED), (11, STARTED)], True, True),
        ([(1, QUEUED), (13, STARTED)], True, False),
        ([(1, QUEUED), (2, STARTED), (3, RETRIED), (11, STARTED)], True, False),
        ([(1, QUEUED), (2, STARTED), (11, RETRIED), (11, STARTED)], False, False),
        ([(1, QUEUED), (2, STARTED), (11, COMPLETED)], False, False),
        ([(1, QUEUED), (2, STARTED), (3, COMPLETED)], False, False),
        ([(11, QUEUED), (11, STARTED)], False, False),
    ],
    ids=["before", "after", "retried", "was running", "running", "done", "queued later"],
)
def test_bulk_items_that_began_before_an_interactive_request_are_detected(
    other: list[tuple[int, EventType]], waited: bool, began: bool
) -> None:
    """Only items that waited at the time of the request count."""
    overtaken = overtaken_by(facts(interactive=INTERACTIVE, other=other), "interactive")
    assert overtaken is not None
    assert (overtaken.waited == ["other"], overtaken.began == ["other"]) == (waited, began)
    assert overtaken.after_s == 2


def test_a_lost_run_counts_as_the_requests_run() -> None:
    """Items that begin before the next attempt have not gone first."""
    own = [(10, QUEUED), (11, RETRIED), (20, STARTED)]
    state = facts(interactive=own, other=[(1, QUEUED), (12, STARTED)])
    overtaken = overtaken_by(state, "interactive")
    assert overtaken is not None
    assert overtaken.began == []


def test_a_late_interactive_request_is_detected() -> None:
    """More items began before it than may have runs, nothing waited, or it never began."""
    before = [(1, QUEUED), (11, STARTED)]
    others = {f"other_{number}": before for number in range(3)}
    state = facts(interactive=INTERACTIVE, **others)
    assert interactive_came_first(state, "interactive", 3) == []
    for state, id, expected in (
        (facts(interactive=INTERACTIVE, **others), "interactive", "3 waiting bulk items"),
        (facts(interactive=INTERACTIVE), "interactive", "nothing waited"),
        (facts(interactive=[(10, QUEUED)], **others), "interactive", "never began"),
        (facts(**others), None, "no interactive request"),
    ):
        wrong = interactive_came_first(state, id, 2)
        assert any(expected in sentence for sentence in wrong), expected
