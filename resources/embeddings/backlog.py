"""Transcripts' passages are embedded, one transcript at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

from resources.embeddings.embedder import Embedder
from resources.embeddings.store import EmbeddingStore
from ytcaption.domain.errors import YtcaptionError
from ytcaption.domain.transcripts.passages import passages


@dataclass(frozen=True)
class Embedded:
    """What was made of a transcript.

    Attributes:
        passage_count: None where nothing was: its text was another by then, or erased.
        problem: why it cannot be embedded, for a log.
    """

    transcription_id: str
    passage_count: int | None
    problem: str | None = None


def embed_transcript(store: EmbeddingStore, embedder: Embedder, id: str) -> Embedded:
    """Replaces what there is of it.

    Raises:
        SemanticUnavailable, ModelUnavailable, DatabaseUnavailable: it is as it was.
        ValueError: the model makes nothing of it.
    """
    import numpy as np

    model_id = store.model_id(embedder.model)
    text = store.text(id)
    if text is None:
        return Embedded(id, None)
    made = list(passages(text.segments))
    vectors = embedder.embed([passage.text for passage in made])
    if not np.isfinite(vectors).all():
        raise ValueError("the model gives vectors that are no numbers")
    is_stored = store.store(id, model_id, text, made, vectors)
    return Embedded(id, len(made) if is_stored else None)


def embed_waiting(
    store: EmbeddingStore, embedder: Embedder, *, again: bool = False, settled_s: float = 0.0
) -> Iterator[Embedded]:
    """All that the model has not embedded as it is, one after the other. One that fails by itself
    is noted, so that it takes nothing from the others and waits no more.

    Args:
        again: those that have failed before, too.
        settled_s: for how long they must have been completed.

    Raises:
        SemanticUnavailable, ModelUnavailable, DatabaseUnavailable: what is done is done.
    """
    model_id, after = store.model_id(embedder.model), ""
    while waiting := store.waiting(model_id, after, again=again, settled_s=settled_s):
        for id in waiting:
            try:
                yield embed_transcript(store, embedder, id)
            except YtcaptionError:
                raise
            except Exception as error:
                store.record_failed(id, model_id)
                said = str(error).partition("\n")[0]
                yield Embedded(id, None, f"{type(error).__name__}: {said[:200]}")
        after = waiting[-1]
