"""Rows that search reads are compared with the documents, and written again."""

import pytest

from resources.embeddings.backlog import embed_waiting
from resources.embeddings.store import EmbeddingStore
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.segments import stored_segments
from tests.resources.maintenance.installation import (  # noqa: F401 - fixtures
    House,
    clean_instance,
    dagster_home,
    house,
)
from tests.resources.maintenance.test_check import CHECKS, repaired_once
from tests.support.embedding import ToyEmbedder
from tests.support.transcripts import transcript_of

TEXTS = ("Good night.", "Sleep well.", "Until tomorrow.")


def stored(house: House) -> str:
    """Return the id of a completed transcription of three segments."""
    id = house.here.running()
    transcript = transcript_of(id, TEXTS)
    written = house.objects.write_bytes(f"transcripts/{id}.json", transcript.to_json())
    store = house.here.run_store
    store.transcript_stored(id, "run-1", transcript, f"transcripts/{id}.json", written.sha256)
    store.complete(id, "run-1")
    return id


def texts(house: House, id: str) -> tuple[str, ...]:
    return tuple(each.text for each in stored_segments(house.here.store.postgres, id))


def vectors(house: House) -> list[str]:
    rows = house.here.store.postgres.rows(
        "select tsv::text from ytcaption.segment order by index", {}
    )
    return [row["tsv"] for row in rows]


@pytest.mark.parametrize("code", ["segments_missing", "segments_differ"])
def test_missing_segments_are_written_again(house: House, code: str):
    """With their search vectors, which depend on the next segment."""
    id = stored(house)
    before = vectors(house)
    house.execute("delete from ytcaption.segment where index = 1")
    assert repaired_once(house, code) == [id]
    assert texts(house, id) == TEXTS
    assert vectors(house) == before


@pytest.mark.parametrize(
    "change",
    [
        "text = 'Good morning.'",
        "start_s = start_s + 0.001",
        "words = '[]'",
        "language = 'de'",
        "tsv = to_tsvector('simple', text)",
        "tsv = ''",
    ],
)
def test_a_segment_that_differs_is_written_again(house: House, change: str):
    """In any column."""
    id = stored(house)
    before = vectors(house)
    house.execute(f"update ytcaption.segment set {change} where index = 2")
    assert not house.look(CHECKS["segments_missing"]).found
    assert repaired_once(house, "segments_differ") == [id]
    assert (texts(house, id), vectors(house)) == (TEXTS, before)


def test_a_wrong_count_is_corrected(house: House):
    """The document decides, not the row."""
    id = stored(house)
    house.execute("update ytcaption.transcription set segment_count = 7")
    assert repaired_once(house, "segments_missing") == [id]
    assert get_transcription(house.here.store.postgres, id).segment_count == 3


def test_without_its_document_nothing_is_written(house: House):
    """What is left of the text stays, and the reason is given."""
    id = stored(house)
    house.objects.delete(f"transcripts/{id}.json")
    house.execute("delete from ytcaption.segment where index = 1")
    finding = house.repair(CHECKS["segments_missing"])
    assert finding.is_wrong and finding.repaired is not None
    assert list(finding.repaired.left) == [id]
    assert texts(house, id) == TEXTS[::2]
    assert not house.look(CHECKS["segments_differ"]).found, "the check of documents finds it"


def test_missing_embeddings_are_forgotten_and_made_again(house: House):
    """What counts as embedded has all its passages."""
    id = stored(house)
    postgres = house.here.store.postgres
    store, embedder = EmbeddingStore(postgres), ToyEmbedder({"night.": (1.0, 0.0, 0.0)})
    assert [each.passage_count for each in embed_waiting(store, embedder)] == [1]
    assert not house.look(CHECKS["embeddings_differ"]).found

    house.execute("delete from ytcaption.embedding")
    assert repaired_once(house, "embeddings_differ") == [id]

    assert [each.passage_count for each in embed_waiting(store, embedder)] == [1]
    house.execute("update ytcaption.embedding set last_index = 1")
    assert repaired_once(house, "embeddings_differ") == [id]


def test_a_repair_of_segments_forgets_their_embeddings(house: House):
    """They may have been made of the wrong text."""
    stored(house)
    store = EmbeddingStore(house.here.store.postgres)
    embedder = ToyEmbedder({"night.": (1.0, 0.0, 0.0)})
    list(embed_waiting(store, embedder))
    house.execute("delete from ytcaption.segment where index = 0")
    house.repair(CHECKS["segments_missing"])
    assert [each.passage_count for each in embed_waiting(store, embedder)] == [1]
