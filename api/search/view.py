"""Builds the response to a search."""

from fastapi import Request, Response

from api.http.pagination import next_page
from api.responses import NO_STORE
from api.search.parameters import position_cursor
from api.search.schemas import (
    ChannelFacet,
    MonthFacet,
    SearchFacets,
    SearchHit,
    SearchPage,
    SearchResult,
    SpokenSegment,
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
    """Return a page of results and where the next one is."""
    cursor = url = None
    if page.last is not None:
        cursor = position_cursor(order, page.last, mode)
        url = next_page(request, response, "/api/v1/search", cursor)
    response.headers.update(NO_STORE)
    return SearchPage(
        items=[_result(request, result) for result in page.items],
        media_count=page.media_count,
        hit_count=page.hit_count,
        is_complete=page.is_complete,
        notes=list(page.notes),
        facets=_facets(page) if facets else None,
        next_cursor=cursor,
        next_url=url,
    )


def _result(request: Request, result: MediaResult) -> SearchResult:
    media = result.media
    duration_s = media.info.duration_s
    links = Links.of(request, result.transcription_id)
    return SearchResult(
        transcription_id=result.transcription_id,
        media_id=media.source.media_id,
        title=media.title,
        channel=media.info.channel,
        channel_id=media.info.channel_id,
        url=media.source.url,
        published_on=result.published_on,
        language=result.language,
        source=result.source,
        duration_s=duration_s if media.audio is None else media.audio.duration_s,
        score=result.score,
        hit_count=result.hit_count,
        hits=[_hit(request, result, segment) for segment in result.segments],
        status_url=links.status_url,
        result_url=links.result_url,
    )


def _hit(request: Request, result: MediaResult, segment: SegmentHit) -> SearchHit:
    shown = segment.segment
    root = request.scope.get("root_path", "")
    return SearchHit(
        index=shown.index,
        start_s=shown.start_s,
        end_s=shown.end_s,
        text=shown.text,
        marks=list(shown.marks),
        score=segment.score,
        before=_spoken(segment.before),
        after=_spoken(segment.after),
        page_url=f"{root}/#{result.transcription_id}&t={int(shown.start_s)}",
        media_url=link_at(result.media.source, shown.start_s),
    )


def _spoken(shown: ShownSegment | None) -> SpokenSegment | None:
    if shown is None:
        return None
    return SpokenSegment(start_s=shown.start_s, end_s=shown.end_s, text=shown.text)


def _facets(page: SearchResults) -> SearchFacets:
    return SearchFacets(
        channels=[ChannelFacet(**vars(count)) for count in page.channels],
        months=[MonthFacet(**vars(count)) for count in page.months],
    )
