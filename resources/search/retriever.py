"""What finds segments, by whatever means, and what it gives."""

from dataclasses import dataclass
from typing import Literal, Protocol

from psycopg import Connection
from psycopg.rows import DictRow

from resources.search.scope import Scope
from ytcaption.domain.search_query import SearchQuery

Order = Literal["relevance", "recency", "time"]
"""The best first; the newest; the oldest."""

Mode = Literal["keyword", "semantic", "hybrid"]
"""By words, by what they mean, by both."""


@dataclass(frozen=True)
class Hit:
    """A segment that was found, or a passage of several.

    Attributes:
        index: the passage's first one.
        score: above 0; higher is better.
        last_index: the passage's last one; None of a segment.
    """

    transcription_id: str
    index: int
    score: float
    last_index: int | None = None


@dataclass(frozen=True)
class Document:
    """The transcript that a segment is of, as far as lists of hits need it.

    Attributes:
        published_on: ISO date.
        channel_key: the channel's id, else its name in lower case.
        language: that it is written in.
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
    """What a retriever gives: ranked segments, and the transcripts they are of, by id.

    Attributes:
        is_complete: nothing that would have fitted was left out.
        is_dropped: in some language the search has no word that is looked for.
        notes: for a person.
        is_of_many: a media in which there is more of it is the better one.
    """

    hits: tuple[Hit, ...]
    documents: dict[str, Document]
    is_complete: bool = True
    is_dropped: bool = False
    notes: tuple[str, ...] = ()
    is_of_many: bool = True


class Retriever(Protocol):
    """A way to find segments. Several can be asked and their ranks fused."""

    def retrieve(
        self, connection: Connection[DictRow], query: SearchQuery, scope: Scope, order: Order
    ) -> Retrieved:
        """Hits in no order, of what is in scope, in bounded time, inside the connection's
        transaction.

        Args:
            order: which to prefer where not all can be given.

        Raises:
            psycopg.errors.QueryCanceled: it takes too long.
        """
        ...
