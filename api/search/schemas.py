"""What a search gives."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class SpokenRead(BaseModel):
    """A segment next to a hit."""

    start_s: float
    end_s: float
    text: Annotated[str, Field(description="As it was said: escape it.")]


class HitRead(SpokenRead):
    """A segment in which something was found, or by its meaning a passage of several."""

    index: Annotated[int, Field(description="Of the transcript's segments, the passage's first.")]
    marks: Annotated[
        list[tuple[int, int]],
        Field(
            description="Where in `text` stands what was looked for: the first character and the "
            "one behind the last, in code points."
        ),
    ]
    score: float
    before: Annotated[SpokenRead | None, Field(description="The segment before it.")]
    after: Annotated[SpokenRead | None, Field(description="The segment after it.")]
    page_url: Annotated[str, Field(description="The transcript on our page, at that second.")]
    media_url: Annotated[
        str | None,
        Field(
            description="The media, at that second where its site or file knows such. Null: an "
            "upload."
        ),
    ]


class MediaResultRead(BaseModel):
    """A media in which something was found, with its best hits in their order of time."""

    transcription_id: str
    media_id: str
    title: Annotated[str | None, Field(description="The source's own: escape it.")]
    channel: str | None
    channel_id: str | None
    url: str | None
    published_on: Annotated[
        str, Field(description="ISO 8601 date; where the source names none, when it was asked for.")
    ]
    language: Annotated[str | None, Field(description="That the text is written in.")]
    source: Literal["asr", "manual_captions", "automatic_captions"]
    duration_s: float | None
    score: float
    hit_count: Annotated[int, Field(description="Segments of this media that were found.")]
    hits: list[HitRead]
    status_url: str
    result_url: str


class ChannelFacet(BaseModel):
    """What was found of a channel."""

    channel: Annotated[str | None, Field(description="Null: of media without a channel.")]
    channel_id: str | None
    media_count: int
    hit_count: int


class MonthFacet(BaseModel):
    """What was found of a month."""

    month: Annotated[str, Field(description="`2026-11`.")]
    media_count: int
    hit_count: int


class SearchFacets(BaseModel):
    """How much was found of each channel, and of each month."""

    channels: list[ChannelFacet]
    months: list[MonthFacet]


class SearchPage(BaseModel):
    """Media in which something was found."""

    items: list[MediaResultRead]
    media_count: Annotated[int, Field(description="On all pages together.")]
    hit_count: Annotated[int, Field(description="Segments, on all pages together.")]
    is_complete: Annotated[
        bool,
        Field(
            description="False: there is more than is ranked, and counts are of what is ranked, "
            "the newest first."
        ),
    ]
    notes: Annotated[list[str], Field(description="For a person: how the search was understood.")]
    facets: SearchFacets | None
    next_cursor: Annotated[str | None, Field(description="Null on the last page.")]
    next_url: Annotated[
        str | None, Field(description="The next page with the same filters; also as `Link`.")
    ]
