"""A page of what a search has found."""

from fastapi import Request, Response

from api.http.cursors import next_page
from api.search.parameters import cursor_of
from api.search.schemas import (
    ChannelFacet,
    HitRead,
    MediaResultRead,
    MonthFacet,
    SearchFacets,
    SearchPage,
    SpokenRead,
)
from api.transcriptions.view import Links
from resources.search.results import MediaResult, SearchResults, SegmentHit, ShownSegment
from resources.search.retriever import Mode, Order
from ytcaption.domain.media.deep_links import link_at


def search_view(
    request: Request,
    response: Response,
    page: SearchResults,
    order: Order,
    *,
    mode: Mode = "keyword",
    facets: bool,
) -> SearchPage:
    """A page and where the next one is."""
    cursor = url = None
    if page.last is not None:
        cursor = cursor_of(order, page.last, mode)
        url = next_page(request, response, "/api/v1/search", cursor)
    response.headers["Cache-Control"] = "no-store"
    return SearchPage(
        items=[_media(request, found) for found in page.items],
        media_count=page.media_count,
        hit_count=page.hit_count,
        is_complete=page.is_complete,
        notes=list(page.notes),
        facets=_facets(page) if facets else None,
        next_cursor=cursor,
        next_url=url,
    )


def _media(request: Request, found: MediaResult) -> MediaResultRead:
    media = found.media
    duration_s = media.info.duration_s
    links = Links.of(request, found.transcription_id)
    return MediaResultRead(
        transcription_id=found.transcription_id,
        media_id=media.source.media_id,
        title=media.title,
        channel=media.info.channel,
        channel_id=media.info.channel_id,
        url=media.source.url,
        published_on=found.published_on,
        language=found.language,
        source=found.source,
        duration_s=duration_s if media.audio is None else media.audio.duration_s,
        score=found.score,
        hit_count=found.hit_count,
        hits=[_hit(request, found, segment) for segment in found.segments],
        status_url=links.status_url,
        result_url=links.result_url,
    )


def _hit(request: Request, found: MediaResult, segment: SegmentHit) -> HitRead:
    spoken = segment.segment
    root = request.scope.get("root_path", "")
    return HitRead(
        index=spoken.index,
        start_s=spoken.start_s,
        end_s=spoken.end_s,
        text=spoken.text,
        marks=list(spoken.marks),
        score=segment.score,
        before=_spoken(segment.before),
        after=_spoken(segment.after),
        page_url=f"{root}/#{found.transcription_id}&t={int(spoken.start_s)}",
        media_url=link_at(found.media.source, spoken.start_s),
    )


def _spoken(spoken: ShownSegment | None) -> SpokenRead | None:
    if spoken is None:
        return None
    return SpokenRead(start_s=spoken.start_s, end_s=spoken.end_s, text=spoken.text)


def _facets(page: SearchResults) -> SearchFacets:
    return SearchFacets(
        channels=[ChannelFacet(**vars(count)) for count in page.channels],
        months=[MonthFacet(**vars(count)) for count in page.months],
    )
