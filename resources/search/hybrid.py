"""Search by words and by meaning, with fused ranks.

Reciprocal rank fusion: each hit gets 1 / (60 + rank) from each retriever that found it (Cormack,
Clarke and Buettcher, SIGIR 2009).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import DictRow

from resources.search.retriever import Hit, Order, Retrieved, Retriever
from resources.search.scope import Scope
from ytcaption.domain.search_query import SearchQuery

RANK_CONSTANT = 60


@dataclass(frozen=True)
class HybridRetriever:
    """Combines two retrievers; hits of both come first."""

    words: Retriever
    meaning: Retriever

    def retrieve(
        self, connection: Connection[DictRow], query: SearchQuery, scope: Scope, order: Order
    ) -> Retrieved:
        """Return segments that match the words, and passages without such a segment.

        Raises:
            see the two retrievers.
        """
        by_words = self.words.retrieve(connection, query, scope, order)
        if not by_words.hits and len(query.groups) > 1:
            by_words = self.words.retrieve(connection, query.any_of_them(), scope, order)
        by_meaning = self.meaning.retrieve(connection, query, scope, order)
        return Retrieved(
            tuple(_fused(by_words, by_meaning)),
            by_meaning.documents | by_words.documents,
            is_complete=by_words.is_complete,
            notes=by_meaning.notes,
            prefers_many=False,
        )


def _fused(by_words: Retrieved, by_meaning: Retrieved) -> Iterator[Hit]:
    word_scores = _scores(by_words)
    meaning_scores = _scores(by_meaning)
    for hit, score in word_scores.items():
        around = [other for passage, other in meaning_scores.items() if _holds(passage, hit)]
        yield Hit(hit.transcription_id, hit.index, score + max(around, default=0.0), hit.last_index)
    for passage, score in meaning_scores.items():
        if not any(_holds(passage, hit) for hit in word_scores):
            yield Hit(passage.transcription_id, passage.index, score, passage.last_index)


def _scores(retrieved: Retrieved) -> dict[Hit, float]:
    """Return each transcript's best hit scored by the transcript's rank; its other hits, less."""
    best: dict[str, float] = {}
    scores: dict[Hit, float] = {}
    ranks: dict[str, int] = {}
    for hit in sorted(
        retrieved.hits, key=lambda hit: (-hit.score, hit.transcription_id, hit.index)
    ):
        rank = ranks.setdefault(hit.transcription_id, len(ranks) + 1)
        share = hit.score / best.setdefault(hit.transcription_id, hit.score)
        scores[hit] = share / (RANK_CONSTANT + rank)
    return scores


def _holds(passage: Hit, hit: Hit) -> bool:
    last = passage.index if passage.last_index is None else passage.last_index
    return passage.transcription_id == hit.transcription_id and passage.index <= hit.index <= last
