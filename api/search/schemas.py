"""The response to a search."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class SpokenSegment(BaseModel):
    """A segment next to a hit."""

    start_s: float
    end_s: float
    text: Annotated[str, Field(description="Untrusted: escape it.")]


class SearchHit(SpokenSegment):
    """A segment that matches or, by meaning, a passage of several segments."""

    index: Annotated[int, Field(description="Index of the segment, or of the passage's first.")]
    marks: Annotated[
        list[tuple[int, int]],
        Field(
            description="Matches in `text`: the first character and the one after the last, in "
            "code points."
        ),
    ]
    score: float
    before: Annotated[SpokenSegment | None, Field(description="The segment before it.")]
    after: Annotated[SpokenSegment | None, Field(description="The segment after it.")]
    page_url: Annotated[
        str, Field(description="The transcript on the web page, at that second; a path.")
    ]
    media_url: Annotated[
        str | None,
        Field(
            description="The media, at that second if its site or file supports it. Null: an "
            "upload."
        ),
    ]


class SearchResult(BaseModel):
    """A media item that matches, with its best hits in order of time."""

    transcription_id: str
    media_id: str
    title: Annotated[str | None, Field(description="Untrusted: escape it.")]
    channel: str | None
    channel_id: str | None
    url: str | None
    published_on: Annotated[
        str,
        Field(description="ISO 8601 date; the date of the request if the source states none."),
    ]
    language: Annotated[str | None, Field(description="Of the text.")]
    source: Literal["asr", "manual_captions", "automatic_captions"]
    duration_s: float | None
    score: float
    hit_count: Annotated[int, Field(description="Matching segments of this media item.")]
    hits: list[SearchHit]
    status_url: str
    result_url: str


class ChannelFacet(BaseModel):
    """Matches by channel."""

    channel: Annotated[str | None, Field(description="Null: media without a channel.")]
    channel_id: str | None
    media_count: int
    hit_count: int


class MonthFacet(BaseModel):
    """Matches by month."""

    month: Annotated[str, Field(description="`2026-11`.")]
    media_count: int
    hit_count: int


class SearchFacets(BaseModel):
    """Matches by channel and by month."""

    channels: list[ChannelFacet]
    months: list[MonthFacet]


class SearchPage(BaseModel):
    """One page of media that match."""

    items: list[SearchResult]
    media_count: Annotated[int, Field(description="On all pages.")]
    hit_count: Annotated[int, Field(description="Segments, on all pages.")]
    is_complete: Annotated[
        bool,
        Field(
            description="False: there are more matches than are ranked, and the counts are of "
            "those that are ranked, the newest first."
        ),
    ]
    notes: Annotated[list[str], Field(description="How the search was understood, in words.")]
    facets: SearchFacets | None
    next_cursor: Annotated[str | None, Field(description="Null on the last page.")]
    next_url: Annotated[
        str | None, Field(description="The next page with the same filters; also as `Link`.")
    ]
