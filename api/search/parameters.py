"""What a search is asked by: its words, filters, order, and the cursor of its page."""

from datetime import date
from typing import Annotated, Literal

from fastapi import Depends, Query

from api.http.cursors import values_of, written
from api.transcriptions.list_parameters import Text
from resources.search.results import ResultPosition
from resources.search.retriever import Mode, Order
from resources.search.scope import SearchFilter, Source
from ytcaption.domain.errors import InvalidCursor
from ytcaption.domain.languages import WHISPER_LANGUAGES
from ytcaption.domain.search_query import LONGEST_SEARCH

LARGEST_PAGE = 50
MOST_HITS = 20

SearchText = Annotated[
    Text,
    Query(
        max_length=LONGEST_SEARCH,
        description='Words; `"next to each other"`, `this OR that`, `-not this`, `begin*`.',
        examples=['"your country" ask'],
    ),
]
SearchMode = Annotated[
    Literal["keyword", "semantic", "hybrid"],
    Query(
        description="By the words; by what they mean (where the server has it installed); by both."
    ),
]
SearchOrder = Annotated[
    Literal["relevance", "recency", "time"],
    Query(description="The best first, the newest first, or the oldest first."),
]
MediaLimit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Most media of a page.")]
HitLimit = Annotated[int, Query(ge=1, le=MOST_HITS, description="Most hits shown of a media.")]
Facets = Annotated[bool, Query(description="Whether to count by channel and month.")]


def cursor_of(order: Order, place: ResultPosition, mode: Mode = "keyword") -> str:
    """A place among what was found as text that says nothing to a client."""
    kind = order if mode == "keyword" else f"{mode} {order}"
    return written([kind, *place])


def place_of(cursor: str, order: Order, mode: Mode = "keyword") -> ResultPosition:
    """The place that a cursor names.

    Raises:
        InvalidCursor: `cursor_of` has not made it, or of another order or mode.
    """
    try:
        _, score, day, media_id = values_of(cursor)
        place = (float(score), int(day), str(media_id))
        if cursor_of(order, place, mode) == cursor:
            return place
    except (InvalidCursor, ValueError, TypeError, OverflowError):
        pass
    raise InvalidCursor(
        "This cursor is none that this search gave. Take `next_url` of a page, or begin without "
        "cursor."
    )


def _filter(
    channel: Annotated[
        Text | None,
        Query(
            max_length=200,
            description="The id of a channel, its whole name, or the id of a subscribed channel.",
        ),
    ] = None,
    media: Annotated[Text | None, Query(max_length=120, description="The id of a media.")] = None,
    language: Annotated[
        Text | None,
        Query(
            max_length=40,
            description="That the text is written in, as a code or an English name.",
        ),
    ] = None,
    published_from: Annotated[
        date | None, Query(alias="from", description="Published on this day or later.")
    ] = None,
    published_to: Annotated[
        date | None, Query(alias="to", description="Published on this day or earlier.")
    ] = None,
    source: Annotated[
        list[Source] | None,
        Query(description="How the text came about; may be repeated: any of these."),
    ] = None,
) -> SearchFilter:
    code = language.strip().lower() if language else None
    return SearchFilter(
        channel=channel or None,
        media_id=media or None,
        language=WHISPER_LANGUAGES.get(code, code) if code else None,
        published_from=published_from,
        published_to=published_to,
        sources=tuple(source or ()),
    )


SearchFilterDep = Annotated[SearchFilter, Depends(_filter)]
Cursor = Annotated[
    str | None,
    Query(
        max_length=600,
        description="`next_cursor` of the page before. Left out: the first page.",
    ),
]
