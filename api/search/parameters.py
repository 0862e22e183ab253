"""Query parameters of a search: words, filters, order, and the cursor of its page."""

from datetime import date
from typing import Annotated, Literal

from fastapi import Depends, Query

from api.http.fields import Text
from api.http.pagination import CURSOR_DESCRIPTION, decode_cursor, encode_cursor
from resources.search.results import ResultPosition
from resources.search.retriever import Mode, Order
from resources.search.scope import SearchFilter, Source
from ytcaption.domain.errors import InvalidCursor
from ytcaption.domain.languages import WHISPER_LANGUAGES
from ytcaption.domain.search_query import LONGEST_SEARCH

MAX_PAGE_SIZE = 50
MAX_HITS = 20

SearchText = Annotated[
    Text,
    Query(
        max_length=LONGEST_SEARCH,
        description='Words; `"exact phrase"`, `this OR that`, `-excluded`, `prefix*`.',
        examples=['"your country" ask'],
    ),
]
SearchMode = Annotated[
    Literal["keyword", "semantic", "hybrid"],
    Query(
        description="By words; by meaning (if the server has a model installed for it); by both."
    ),
]
SearchOrder = Annotated[
    Literal["relevance", "recency", "time"],
    Query(description="The best first, the newest first, or the oldest first."),
]
MediaLimit = Annotated[
    int, Query(ge=1, le=MAX_PAGE_SIZE, description="Maximum media items on a page.")
]
HitLimit = Annotated[int, Query(ge=1, le=MAX_HITS, description="Maximum hits per media item.")]
Facets = Annotated[bool, Query(description="Count by channel and month.")]


def position_cursor(order: Order, position: ResultPosition, mode: Mode = "keyword") -> str:
    """Return the cursor of a position among the results of one order and mode."""
    kind = order if mode == "keyword" else f"{mode} {order}"
    return encode_cursor([kind, *position])


def position_of(cursor: str, order: Order, mode: Mode = "keyword") -> ResultPosition:
    """Return the position that a cursor names.

    Raises:
        InvalidCursor: `position_cursor` did not make it, or for another order or mode.
    """
    try:
        _, score, day, media_id = decode_cursor(cursor)
        position = (float(score), int(day), str(media_id))
        if position_cursor(order, position, mode) == cursor:
            return position
    except (InvalidCursor, ValueError, TypeError, OverflowError):
        pass
    raise InvalidCursor(
        "This cursor was not issued by this search. Use `next_url` of a page, or start without a "
        "cursor."
    )


def _filter(
    channel: Annotated[
        Text | None,
        Query(
            max_length=200,
            description="The id or whole name of a channel, or the id of a subscribed channel.",
        ),
    ] = None,
    media: Annotated[
        Text | None, Query(max_length=120, description="The id of a media item.")
    ] = None,
    language: Annotated[
        Text | None,
        Query(
            max_length=40,
            description="Language of the text, as a code or an English name.",
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
        Query(description="How the text was made; may be repeated: any of these."),
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
Cursor = Annotated[str | None, Query(max_length=600, description=CURSOR_DESCRIPTION)]
