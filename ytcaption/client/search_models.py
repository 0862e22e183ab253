"""What the server answers to a search."""

from typing import Any

from ytcaption.client.models import Answer


class Spoken(Answer):
    """A stretch of speech, in seconds of the media."""

    start_s: float
    end_s: float
    text: str


class Hit(Spoken):
    """A segment in which something was found.

    Attributes:
        marks: where in `text` stands what was looked for: first character, and behind the last.
        before, after: the segments next to it.
        page_url: on the server's page, at that second; a path.
        media_url: the media itself, at that second where it knows such.
    """

    index: int
    marks: tuple[tuple[int, int], ...] = ()
    score: float = 0.0
    before: Spoken | None = None
    after: Spoken | None = None
    page_url: str = ""
    media_url: str | None = None


class Found(Answer):
    """A media in which something was found, with its best hits in their order of time.

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
        """Its title, or for want of one its id."""
        return self.title or self.media_id


class SearchResults(Answer):
    """Some of what was found.

    Attributes:
        media_count, hit_count: on all pages together.
        is_complete: False: there is more than is ranked.
        notes: how the search was understood.
        facets: `channels` and `months`, each with its counts.
    """

    items: tuple[Found, ...]
    media_count: int
    hit_count: int
    is_complete: bool
    notes: tuple[str, ...] = ()
    facets: dict[str, list[dict[str, Any]]] | None = None
    next_cursor: str | None = None
