"""Embeds the passages of transcripts, one transcript at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

from resources.embeddings.embedder import Embedder
from resources.embeddings.store import EmbeddingStore
from ytcaption.domain.errors import YtcaptionError
from ytcaption.domain.transcripts.passages import passages


@dataclass(frozen=True)
class EmbeddingOutcome:
    """The result of embedding a transcript.

    Attributes:
        passage_count: None if nothing was stored: the text had changed, or was erased.
        problem: why it cannot be embedded, for a log.
    """

    transcription_id: str
    passage_count: int | None
    problem: str | None = None


def embed_transcript(store: EmbeddingStore, embedder: Embedder, id: str) -> EmbeddingOutcome:
    """Embed a transcript, replacing its stored embeddings.

    Raises:
        SemanticUnavailable, ModelUnavailable, DatabaseUnavailable: nothing has changed.
        ValueError: the model returns no finite vectors.
    """
    import numpy as np

    model_id = store.model_id(embedder.model)
    text = store.text(id)
    if text is None:
        return EmbeddingOutcome(id, None)
    text_passages = list(passages(text.segments))
    vectors = embedder.embed([passage.text for passage in text_passages])
    if not np.isfinite(vectors).all():
        raise ValueError("the model returned vectors that are not finite")
    is_stored = store.store(id, model_id, text, text_passages, vectors)
    return EmbeddingOutcome(id, len(text_passages) if is_stored else None)


def embed_waiting(
    store: EmbeddingStore, embedder: Embedder, *, again: bool = False, settled_s: float = 0.0
) -> Iterator[EmbeddingOutcome]:
    """Embed all transcripts that the model has not embedded in their current form, in turn.

    A failure of a single transcript is recorded, so that it does not delay the others and is not
    tried again.

    Args:
        again: include those that have failed before.
        settled_s: least seconds since their completion.

    Raises:
        SemanticUnavailable, ModelUnavailable, DatabaseUnavailable: finished transcripts are stored.
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
                message = str(error).partition("\n")[0]
                yield EmbeddingOutcome(id, None, f"{type(error).__name__}: {message[:200]}")
        after = waiting[-1]
