"""A checkpoint is read as written; one that is damaged or of another engine is not used."""

import json
import logging
from copy import deepcopy

import pytest

from resources.transcribe import checkpoint
from resources.transcribe.checkpoint import Checkpoint, CheckpointJournal, Part
from tests.support.transcripts import spoken
from ytcaption.domain.transcripts.transcript import Segment

pytestmark = pytest.mark.unit

ENGINE = "engine 1"
SEGMENTS = [
    spoken("One two.", start_s=1.0),
    spoken("Three.", start_s=3.0),
    spoken("Four.", start_s=9),
]


@pytest.fixture(autouse=True)
def save_at_every_boundary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save a part at every boundary."""
    monkeypatch.setattr(checkpoint, "SAVE_INTERVAL_S", 0.0)


def written() -> list[Part]:
    """Return two parts, as read from the store."""
    parts: list[Part] = []
    journal = CheckpointJournal(Checkpoint([], parts.append), ENGINE)
    journal.set_language("de", 0.75)
    journal.add(SEGMENTS[0])
    journal.add(SEGMENTS[1])
    journal.mark_done(5.125, 3.3004)
    journal.add(SEGMENTS[2])
    journal.mark_done(11.0, 9.3)
    return json.loads(json.dumps(parts))


def read(state: list[Part], engine: str = ENGINE) -> CheckpointJournal:
    return CheckpointJournal(Checkpoint(state, lambda _: None), engine)


def test_segments_are_read_as_written():
    """Each part has the new segments; together they are all of them, to the last digit."""
    parts = written()
    assert [len(part["segments"]) for part in parts] == [2, 1]
    journal = read(parts)
    assert journal.segments == SEGMENTS
    assert (journal.language, journal.done_s, journal.clock_s) == (("de", 0.75), 11.0, 9.3)


def test_the_next_attempt_continues_with_the_next_number():
    """A third attempt reads the parts of both."""
    parts = written()
    saved: list[Part] = []
    again = CheckpointJournal(Checkpoint(parts[:1], saved.append), ENGINE)
    again.resume([5.125, 11.0])
    again.set_language("de", 0.75)
    again.add(SEGMENTS[2])
    again.mark_done(11.0, 9.3)
    assert saved == parts[1:]


def test_nothing_is_saved_before_the_interval(monkeypatch: pytest.MonkeyPatch):
    """Boundaries that follow each other quickly are saved together."""
    monkeypatch.setattr(checkpoint, "SAVE_INTERVAL_S", 1_000.0)
    assert written() == []


def test_without_a_checkpoint_nothing_is_collected():
    """Ten hours of segments are not held twice."""
    journal = CheckpointJournal()
    journal.set_language("en", 1.0)
    journal.add(SEGMENTS[0])
    journal.mark_done(5.0, 2.0)
    assert journal._unsaved == []


def damaged(change) -> list[Part]:
    parts = deepcopy(written())
    change(parts)
    return parts


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: parts.pop(0),
        lambda parts: parts[1].update(number=0),
        lambda parts: parts[0].pop("segments"),
        lambda parts: parts[0]["segments"][0].pop("words"),
        lambda parts: parts[0]["segments"][0].update(more=1),
        lambda parts: parts[0]["segments"][0].update(text=None),
        lambda parts: parts[0]["segments"][0].update(start_s="soon"),
        lambda parts: parts[0]["segments"].reverse(),
        lambda parts: parts[0].update(done_s=None),
        lambda parts: parts[1].update(done_s=4.0),
        lambda parts: parts[1].update(clock_s=float("nan")),
        lambda parts: parts.__setitem__(0, ["no part"]),
        lambda parts: parts[0].update(segments=7),
    ],
)
def test_a_damaged_checkpoint_is_ignored_with_a_warning(change, caplog):
    """All of it: the attempt starts over, with the first number."""
    state = damaged(change)
    with caplog.at_level(logging.WARNING):
        journal = read(state)
    assert (journal.segments, journal.language, journal.done_s, journal.clock_s) == ([], None, 0, 0)
    assert "damaged" in caplog.text
    assert journal._number == 0


def test_another_engine_starts_over():
    """Models, number formats and engines are not mixed."""
    journal = read(written(), "engine 2")
    assert (journal.segments, journal.done_s, journal.language) == ([], 0.0, None)


def test_audio_that_is_cut_in_other_places_starts_over(caplog):
    """Without a boundary at the time that was reached, audio would be decoded twice."""
    journal = read(written())
    with caplog.at_level(logging.WARNING):
        journal.resume([5.125, 10.9, 12.0])
    assert (journal.segments, journal.done_s, journal.language) == ([], 0.0, None)
    assert "other places" in caplog.text
    fits = read(written())
    fits.resume([5.125, 11.0])
    assert fits.segments == SEGMENTS


def test_segments_are_read_as_objects():
    """They are `Segment`s, not dictionaries, with words that have times."""
    segment = read(written()).segments[0]
    assert isinstance(segment, Segment)
    assert [word.text for word in segment.words] == [" One", " two."]
