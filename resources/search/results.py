"""What a search gives: media, their best segments, and counts."""

from dataclasses import dataclass

from resources.search.highlights import Mark
from resources.search.scope import Source
from resources.transcriptions.rows import MediaRow


@dataclass(frozen=True)
class Spoken:
    """A segment as a hit shows it.

    Attributes:
        marks: where in `text` stands what was looked for.
    """

    index: int
    start_s: float
    end_s: float
    text: str
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class SegmentHit:
    """A hit, with the segments next to it."""

    spoken: Spoken
    score: float
    before: Spoken | None
    after: Spoken | None


@dataclass(frozen=True)
class MediaResult:
    """A media in which something was found.

    Attributes:
        hit_count: segments that were found in it.
        segments: the best of them, in their order of time.
        source: as in its provenance.
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
    """Media and segments that were found of a channel; of none where its name is None."""

    channel: str | None
    channel_id: str | None
    media_count: int
    hit_count: int


@dataclass(frozen=True)
class MonthCount:
    """Media and segments that were found of a month, `2026-11`."""

    month: str
    media_count: int
    hit_count: int


Place = tuple[float, int, str]
"""Of a media in the whole order."""


@dataclass(frozen=True)
class SearchResults:
    """Some of what was found.

    Attributes:
        last: place of the last media, where there is more; None on the last page.
        is_complete: counts are of all there is; else of the part that was ranked.
        notes: for a person.
    """

    items: tuple[MediaResult, ...]
    last: Place | None
    media_count: int
    hit_count: int
    is_complete: bool
    channels: tuple[ChannelCount, ...] = ()
    months: tuple[MonthCount, ...] = ()
    notes: tuple[str, ...] = ()
