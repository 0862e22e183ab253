"""Drafts are written in batches, by the run that holds the claim, and never stop it."""

import threading
import time
from collections.abc import Sequence

import pytest

from resources.transcriptions import drafts as draft_segments
from resources.transcriptions.drafts import DraftWriter, add_drafts
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.support.patience import wait_for
from ytcaption.domain.errors import ClaimLost, DatabaseUnavailable
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import Segment


def segment(index: int, text: str = "Text.") -> Segment:
    return Segment(index, float(index), index + 1.0, text, (), -0.2, 0.0, 1.0, 0.0)


def stored(store: RequestStore, id: str) -> list[tuple]:
    with store.postgres.transaction() as connection:
        rows = connection.execute(
            "select attempt, index, text from ytcaption.draft_segment "
            "where transcription_id = %s order by index",
            (id,),
        ).fetchall()
    return [tuple(row.values()) for row in rows]


def test_segments_are_written_in_batches(monkeypatch: pytest.MonkeyPatch):
    """The first at once, those within the interval together; none twice, none out of order."""
    monkeypatch.setattr(draft_segments, "BATCH_S", 0.1)
    batches: list[list[int]] = []
    with DraftWriter(lambda batch: batches.append([s.index for s in batch]), pytest.fail) as writer:
        writer.add(segment(0))
        wait_for(lambda: batches)
        for index in range(1, 50):
            writer.add(segment(index))
        wait_for(lambda: len(batches) >= 2)
    assert batches == [[0], list(range(1, 50))]


def test_an_outage_loses_nothing(monkeypatch: pytest.MonkeyPatch):
    """Segments that could not be written are written when the database is back."""
    monkeypatch.setattr(draft_segments, "BATCH_S", 0.01)
    away = threading.Event()
    away.set()
    written: list[int] = []
    tried = threading.Event()

    def write(batch: Sequence[Segment]) -> None:
        tried.set()
        if away.is_set():
            raise DatabaseUnavailable("Away.")
        written.extend(each.index for each in batch)

    with DraftWriter(write, pytest.fail) as writer:
        writer.add(segment(0))
        assert tried.wait(5)
        writer.add(segment(1))
        away.clear()
        wait_for(lambda: written == [0, 1])


def test_a_lost_claim_stops_writing(monkeypatch: pytest.MonkeyPatch):
    """Nothing more is written, and the run is notified."""
    lost = threading.Event()
    calls: list[int] = []

    def write(batch: Sequence[Segment]) -> None:
        calls.append(len(batch))
        raise ClaimLost("Canceled.")

    monkeypatch.setattr(draft_segments, "BATCH_S", 0.01)
    with DraftWriter(write, lost.set) as writer:
        writer.add(segment(0))
        assert lost.wait(5)
        writer.add(segment(1))
        time.sleep(0.1)
    assert calls == [1]


def test_only_the_run_that_holds_the_claim_adds(request_store: RequestStore, run_store: RunStore):
    """Repeating changes nothing; another run, or a run after a cancel, is refused."""
    source = MediaSource("direct-a", "direct", "http://a.example/a.mp3", "Generic")
    id = request_store.submit(source, TranscriptionOptions(model="base")).transcription.id
    run_store.claim(id, "run-1")
    for _ in range(2):
        add_drafts(request_store.postgres, id, "run-1", [segment(0, "A\x00."), segment(1)])
    assert stored(request_store, id) == [(1, 0, "A."), (1, 1, "Text.")]

    with pytest.raises(ClaimLost):
        add_drafts(request_store.postgres, id, "run-2", [segment(2)])
    request_store.cancel(id)
    with pytest.raises(ClaimLost):
        add_drafts(request_store.postgres, id, "run-1", [segment(2)])
    assert stored(request_store, id) == []
