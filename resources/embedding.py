"""Transcripts' passages are embedded, one transcript at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

from resources.embedder import Embedder
from resources.embedding_store import EmbeddingStore
from ytcaption_assets.domain.passages import passages


@dataclass(frozen=True)
class Embedded:
    """What was made of a transcript; None where its text was another by then, or erased."""

    transcription_id: str
    passage_count: int | None


def embed_transcript(store: EmbeddingStore, embedder: Embedder, id: str) -> Embedded:
    """Replaces what there is of it.

    Raises:
        SemanticUnavailable, ModelUnavailable, DatabaseUnavailable: it is as it was.
    """
    model_id = store.model_id(embedder.model)
    text = store.text(id)
    if text is None:
        return Embedded(id, None)
    made = list(passages(text.segments))
    vectors = embedder.embed([passage.text for passage in made])
    is_stored = store.store(id, model_id, text, made, vectors)
    return Embedded(id, len(made) if is_stored else None)


def embed_waiting(store: EmbeddingStore, embedder: Embedder) -> Iterator[Embedded]:
    """All that the model has not embedded as it is, one after the other.

    Raises:
        as `embed_transcript`; what is done is done.
    """
    model_id, after = store.model_id(embedder.model), ""
    while waiting := store.waiting(model_id, after):
        for id in waiting:
            yield embed_transcript(store, embedder, id)
        after = waiting[-1]
