"""What is written into a checkpoint is read from it; what is damaged, or another's, is not used."""

import json
import logging
from copy import deepcopy

import pytest

from resources.transcribe import checkpoint_journal
from resources.transcribe.checkpoint import Checkpoint, Part
from resources.transcribe.checkpoint_journal import Journal
from tests.support.transcripts import spoken
from ytcaption.domain.transcripts.transcript import Segment

ENGINE = "engine 1"
HEARD = [spoken("One two.", start_s=1.0), spoken("Three.", start_s=3.0), spoken("Four.", start_s=9)]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every end is kept."""
    monkeypatch.setattr(checkpoint_journal, "SAVE_S", 0.0)


def written() -> list[Part]:
    """Two parts, as they come back from where they were kept."""
    parts: list[Part] = []
    journal = Journal(Checkpoint([], parts.append), ENGINE)
    journal.begin("de", 0.75)
    journal.add(HEARD[0])
    journal.add(HEARD[1])
    journal.done(5.125, 3.3004)
    journal.add(HEARD[2])
    journal.done(11.0, 9.3)
    return json.loads(json.dumps(parts))


def read(state: list[Part], engine: str = ENGINE) -> Journal:
    return Journal(Checkpoint(state, lambda _: None), engine)


def test_what_was_heard_is_read_again():
    """Each part holds what is new; together they are all of it, to the last digit."""
    parts = written()
    assert [len(part["segments"]) for part in parts] == [2, 1]
    journal = read(parts)
    assert journal.segments == HEARD
    assert (journal.language, journal.done_s, journal.clock_s) == (("de", 0.75), 11.0, 9.3)


def test_the_next_attempt_goes_on_with_the_next_number():
    """A third attempt finds the parts of both."""
    parts = written()
    kept: list[Part] = []
    again = Journal(Checkpoint(parts[:1], kept.append), ENGINE)
    again.go_on([5.125, 11.0])
    again.begin("de", 0.75)
    again.add(HEARD[2])
    again.done(11.0, 9.3)
    assert kept == parts[1:]


def test_nothing_is_kept_before_its_time(monkeypatch: pytest.MonkeyPatch):
    """Ends that come soon after one another are kept together."""
    monkeypatch.setattr(checkpoint_journal, "SAVE_S", 1_000.0)
    assert written() == []


def test_without_a_checkpoint_nothing_is_collected():
    """Ten hours of segments are not held twice."""
    journal = Journal()
    journal.begin("en", 1.0)
    journal.add(HEARD[0])
    journal.done(5.0, 2.0)
    assert journal._new == []


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
    """All of it: the attempt starts anew, under the first number."""
    state = damaged(change)
    with caplog.at_level(logging.WARNING):
        journal = read(state)
    assert (journal.segments, journal.language, journal.done_s, journal.clock_s) == ([], None, 0, 0)
    assert "damaged" in caplog.text
    assert journal._number == 0


def test_another_engine_starts_anew():
    """Nothing is mixed: neither models, nor number formats, nor engines."""
    journal = read(written(), "engine 2")
    assert (journal.segments, journal.done_s, journal.language) == ([], 0.0, None)


def test_audio_that_is_cut_in_other_places_is_heard_anew(caplog):
    """Where nothing ends at the moment that was reached, something would be heard twice."""
    journal = read(written())
    with caplog.at_level(logging.WARNING):
        journal.go_on([5.125, 10.9, 12.0])
    assert (journal.segments, journal.done_s, journal.language) == ([], 0.0, None)
    assert "other places" in caplog.text
    fits = read(written())
    fits.go_on([5.125, 11.0])
    assert fits.segments == HEARD


def test_segments_are_segments():
    """Not dictionaries: with words that have times."""
    segment = read(written()).segments[0]
    assert isinstance(segment, Segment)
    assert [word.text for word in segment.words] == [" One", " two."]
