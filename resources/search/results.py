"""Search results: media, their best segments, and counts."""

from dataclasses import dataclass

from resources.search.highlights import Mark
from resources.search.scope import Source
from resources.transcriptions.rows import MediaRow


@dataclass(frozen=True)
class ShownSegment:
    """A segment as results show it.

    Attributes:
        marks: positions of the matches in `text`.
    """

    index: int
    start_s: float
    end_s: float
    text: str
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class SegmentHit:
    """A matching segment with its neighbours."""

    segment: ShownSegment
    score: float
    before: ShownSegment | None
    after: ShownSegment | None


@dataclass(frozen=True)
class MediaResult:
    """A media item with matches.

    Attributes:
        hit_count: number of its matching segments.
        segments: the best of them, by time.
        source: see the transcript's provenance.
    """

    transcription_id: str
    media: MediaRow
    published_on: str
    language: str | None
    source: Source
    score: float
    hit_count: int
    segments: tuple[SegmentHit, ...]


@dataclass(frozen=True)
class ChannelCount:
    """Matching media and segments of a channel; media without one have None."""

    channel: str | None
    channel_id: str | None
    media_count: int
    hit_count: int


@dataclass(frozen=True)
class MonthCount:
    """Matching media and segments of a month, such as `2026-11`."""

    month: str
    media_count: int
    hit_count: int


ResultPosition = tuple[float, int, str]
"""The position of a media item in the whole order."""


@dataclass(frozen=True)
class SearchResults:
    """A page of results.

    Attributes:
        last: position of the last media if more follow; None on the last page.
        is_complete: counts cover all matches; otherwise only the ranked part.
        notes: hints for the user.
    """

    items: tuple[MediaResult, ...]
    last: ResultPosition | None
    media_count: int
    hit_count: int
    is_complete: bool
    channels: tuple[ChannelCount, ...] = ()
    months: tuple[MonthCount, ...] = ()
    notes: tuple[str, ...] = ()
