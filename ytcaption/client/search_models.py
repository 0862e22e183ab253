"""The response to a search."""

from typing import Any

from ytcaption.client.deprecation import old_module_names
from ytcaption.client.models import Model


class SpokenSegment(Model):
    """A segment, with its times in seconds of the media."""

    start_s: float
    end_s: float
    text: str


class Hit(SpokenSegment):
    """A segment that matches.

    Attributes:
        marks: matches in `text`: the first character and the one after the last.
        before: the segment before it.
        after: the segment after it.
        page_url: the server's page at that second; a path.
        media_url: the media, at that second if its site or file supports it.
    """

    index: int
    marks: tuple[tuple[int, int], ...] = ()
    score: float = 0.0
    before: SpokenSegment | None = None
    after: SpokenSegment | None = None
    page_url: str = ""
    media_url: str | None = None


class SearchResult(Model):
    """A media item that matches, with its best hits in order of time.

    Attributes:
        hit_count: of all its segments.
    """

    transcription_id: str
    media_id: str
    title: str | None = None
    channel: str | None = None
    url: str | None = None
    published_on: str
    language: str | None = None
    source: str
    score: float
    hit_count: int
    hits: tuple[Hit, ...]

    @property
    def name(self) -> str:
        """The title, or the id if there is none."""
        return self.title or self.media_id


class SearchResults(Model):
    """One page of results.

    Attributes:
        media_count: on all pages.
        hit_count: on all pages.
        is_complete: False: there are more matches than are ranked.
        notes: how the search was understood.
        facets: `channels` and `months`, each with its counts.
    """

    items: tuple[SearchResult, ...]
    media_count: int
    hit_count: int
    is_complete: bool
    notes: tuple[str, ...] = ()
    facets: dict[str, list[dict[str, Any]]] | None = None
    next_cursor: str | None = None


__getattr__ = old_module_names(__name__, {"Found": SearchResult, "Spoken": SpokenSegment})
