"""That the checks of a channel in a storm would see what is wrong."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.chaos.channel_verify import overtaken_by, person_came_first
from tests.chaos.verify import Facts
from ytcaption.domain.events import EventType
from ytcaption.settings import Settings

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
QUEUED, STARTED, RETRIED = EventType.QUEUED, EventType.STARTED, EventType.RETRIED
COMPLETED = EventType.TRANSCRIPTION_COMPLETED
PERSON = [(10, QUEUED), (12, STARTED), (14, COMPLETED)]


def facts(**events: list[tuple[int, EventType]]) -> Facts:
    """Of transcriptions with events so many seconds after noon."""
    rows = {id: {"id": id, "status": "completed", "error_message": None} for id in events}
    told = {
        id: [
            {"event_type": kind.value, "timestamp": NOON + timedelta(seconds=at)}
            for at, kind in each
        ]
        for id, each in events.items()
    }
    settings = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
    return Facts(settings, rows, told, [], {}, set(), 0)


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
    ids=["before", "after", "revived", "was at work", "at work", "done", "came later"],
)
def test_who_began_before_a_person_is_seen(
    other: list[tuple[int, EventType]], waited: bool, began: bool
) -> None:
    """Of those that waited when the person asked."""
    found = overtaken_by(facts(person=PERSON, other=other), "person")
    assert found is not None
    assert (found.waited == ["other"], found.began == ["other"]) == (waited, began)
    assert found.after_s == 2


def test_a_run_that_was_lost_had_its_turn() -> None:
    """What begins until the next attempt has overtaken nobody."""
    person = [(10, QUEUED), (11, RETRIED), (20, STARTED)]
    found = overtaken_by(facts(person=person, other=[(1, QUEUED), (12, STARTED)]), "person")
    assert found is not None
    assert found.began == []


def test_a_person_who_came_late_is_seen() -> None:
    """Behind more than may have a run already; where nobody waited; who never began or asked."""
    before = [(1, QUEUED), (11, STARTED)]
    crowd = {f"other_{number}": before for number in range(3)}
    assert person_came_first(facts(person=PERSON, **crowd), "person", 3) == []
    for told, id, says in (
        (facts(person=PERSON, **crowd), "person", "3 bulk ones"),
        (facts(person=PERSON), "person", "nothing waited"),
        (facts(person=[(10, QUEUED)], **crowd), "person", "never began"),
        (facts(**crowd), None, "nobody could ask"),
    ):
        assert any(says in wrong for wrong in person_came_first(told, id, 2)), says
