"""Drafts are visible while the model decodes."""

import time
from typing import ClassVar

import pytest

from resources.transcribe.whisper_transcriber import WhisperTranscriber
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.segments import stored_segments
from resources.transcriptions.store import RequestStore
from tests.api.conftest import serving
from tests.support.patience import wait_for
from tests.support.servers.live_api import Reader
from tests.support.servers.media_server import MediaServer
from tests.ytcaption_assets.assets.conftest import Graph
from ytcaption.domain.errors import AudioError
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.domain.transcripts.transcript import Recognition

pytestmark = pytest.mark.model

Draft = tuple[int, int, float, float, str]


def drafts(store: RequestStore, id: str) -> list[Draft]:
    with store.postgres.transaction() as connection:
        rows = connection.execute(
            "select attempt, index, start_s, end_s, text from ytcaption.draft_segment "
            "where transcription_id = %s order by attempt, index",
            (id,),
        ).fetchall()
    return [tuple(row.values()) for row in rows]


class Onlooker(WhisperTranscriber):
    """The model; after decoding and before anything is stored, the drafts are read."""

    def transcribe(
        self, waveform, options, on_progress, on_segment=None, checkpoint=None
    ) -> Recognition:
        """As the model does."""
        result = super().transcribe(waveform, options, on_progress, on_segment, checkpoint)
        wait_for(lambda: len(self.look()) >= len(result.segments), 20, self.look)
        type(self).seen = self.look()
        if self.fault is not None:
            raise self.fault
        return result

    look = staticmethod(list)
    seen: ClassVar[list[Draft]] = []
    fault: ClassVar[Exception | None] = None


@pytest.fixture
def onlooker(graph: Graph) -> Onlooker:
    """A fresh one."""
    Onlooker.seen, Onlooker.fault = [], None
    return Onlooker.from_settings(graph.settings, engine="sequential")


@pytest.mark.slow
def test_drafts_are_the_text_before_it_is_stored(
    graph: Graph, media_server: MediaServer, onlooker: Onlooker
):
    """Each segment is visible before the end and does not change; afterwards only the text
    exists."""
    key = graph.submit(media_server.url("jfk.flac"))
    Onlooker.look = staticmethod(lambda: drafts(graph.store, key))
    assert graph.run(key, attempt=1, resources={"transcriber": onlooker}).success

    text = stored_segments(graph.store.postgres, key)
    assert text
    assert onlooker.seen == [(1, s.index, s.start_s, s.end_s, s.text) for s in text]
    assert drafts(graph.store, key) == []


@pytest.mark.slow
def test_an_attempt_that_fails_leaves_no_draft(
    graph: Graph, media_server: MediaServer, onlooker: Onlooker
):
    """The next attempt begins with an empty text."""
    key = graph.submit(media_server.url("jfk.flac"))
    Onlooker.look = staticmethod(lambda: drafts(graph.store, key))
    Onlooker.fault = AudioError("An injected fault.")
    assert not graph.run(key, attempt=1, resources={"transcriber": onlooker}).success

    assert onlooker.seen
    assert get_transcription(graph.store.postgres, key).status is TranscriptionStatus.FAILED
    assert drafts(graph.store, key) == []


def test_a_claim_deletes_drafts_of_a_dead_run(graph: Graph, media_server: MediaServer):
    """Rows of an earlier attempt are deleted by the next claim."""
    key = graph.submit(media_server.url("jfk.flac"))
    with graph.store.postgres.transaction() as connection:
        connection.execute(
            "insert into ytcaption.draft_segment values (%s, 7, 0, 0, 1, 'Left over.')", (key,)
        )
    graph.run_store.claim(key, "run-1", 1)
    assert drafts(graph.store, key) == []


@pytest.mark.slow
def test_watchers_read_the_text_while_the_model_works(
    graph: Graph, media_server: MediaServer, monkeypatch: pytest.MonkeyPatch
):
    """A whole run, seen through the API: each segment of the result once, most of them before the
    text is stored. With the sequential engine: the batched one decodes this minute at once."""
    graph.settings = graph.settings.changed(engine="sequential")
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    key = graph.submit(media_server.url("sonnet-en.mp3"))
    stored_after: list[int] = []
    store_text = type(graph.run_store).transcript_stored

    with serving(graph.settings) as url:
        reader = Reader(url, key)

        def storing(self, *args, **more):
            time.sleep(1)  # so that the last batch of drafts was written and told
            stored_after.append(len(reader.indexes))
            return store_text(self, *args, **more)

        monkeypatch.setattr(type(graph.run_store), "transcript_stored", storing)
        assert graph.run(key, attempt=1).success
        reader.to_the_end()

    text = stored_segments(graph.store.postgres, key)
    assert [each.data["text"] for each in reader.events if each.name == "segment"] == [
        segment.text for segment in text
    ]
    assert len(text) > 3
    assert stored_after[0] > len(text) / 2
    assert {"state", "progress", "segment", "completed"} <= set(reader.names)
