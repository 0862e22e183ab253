"""The interface of retrievers, which find segments by any method."""

from dataclasses import dataclass
from typing import Literal, Protocol

from psycopg import Connection
from psycopg.rows import DictRow

from resources.search.scope import Scope
from ytcaption.domain.search_query import SearchQuery

Order = Literal["relevance", "recency", "time"]
"""The best match first; the newest; the oldest."""

Mode = Literal["keyword", "semantic", "hybrid"]
"""By words, by meaning, or by both."""


@dataclass(frozen=True)
class Hit:
    """A matching segment, or a passage of several.

    Attributes:
        index: of the passage's first segment.
        score: above 0; higher is better.
        last_index: of the passage's last segment; None for a single segment.
    """

    transcription_id: str
    index: int
    score: float
    last_index: int | None = None


@dataclass(frozen=True)
class Document:
    """The facts of a transcript that lists of hits need.

    Attributes:
        published_on: ISO date.
        channel_key: the channel's id, else its name in lower case.
        language: of the text.
    """

    id: str
    media_id: str
    published_on: str
    channel: str | None
    channel_id: str | None
    channel_key: str | None
    language: str | None


@dataclass(frozen=True)
class Retrieved:
    """The hits of a retriever and their transcripts by id.

    Attributes:
        is_complete: no match was left out.
        has_only_stop_words: in some language the query has only stop words.
        notes: hints for the user.
        prefers_many: more hits in a media item make it a better result.
    """

    hits: tuple[Hit, ...]
    documents: dict[str, Document]
    is_complete: bool = True
    has_only_stop_words: bool = False
    notes: tuple[str, ...] = ()
    prefers_many: bool = True


class Retriever(Protocol):
    """Finds segments. Several can be combined by fusing their ranks."""

    def retrieve(
        self, connection: Connection[DictRow], query: SearchQuery, scope: Scope, order: Order
    ) -> Retrieved:
        """Return unordered hits in scope, in bounded time, within the connection's transaction.

        Args:
            order: which hits to prefer if not all can be returned.

        Raises:
            psycopg.errors.QueryCanceled: it takes too long.
        """
        ...
