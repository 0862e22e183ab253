"""Finding what was said."""

from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.dependencies import Reader
from api.responses import DATABASE_UNAVAILABLE, LINK_HEADER, SEARCH_ERRORS
from api.search.dependencies import SearchDep
from api.search.examples import SEARCH_EXAMPLE
from api.search.parameters import (
    Cursor,
    Facets,
    HitLimit,
    MediaLimit,
    SearchFilterDep,
    SearchMode,
    SearchOrder,
    SearchText,
    place_of,
)
from api.search.schemas import SearchPage
from api.search.view import search_view

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])


@router.get(
    "/search",
    operation_id="search",
    summary="Find what was said",
    responses={
        200: {"content": {"application/json": {"example": SEARCH_EXAMPLE}}, "headers": LINK_HEADER},
        **SEARCH_ERRORS,
        **DATABASE_UNAVAILABLE,
    },
)
async def find(
    request: Request,
    response: Response,
    caller: Reader,
    search: SearchDep,
    filter: SearchFilterDep,
    q: SearchText,
    mode: SearchMode = "keyword",
    sort: SearchOrder = "relevance",
    facets: Facets = True,
    limit: MediaLimit = 10,
    hits: HitLimit = 3,
    cursor: Cursor = None,
) -> SearchPage:
    """In all completed transcriptions that you have asked for (an admin: everybody's), whatever
    their language: the media in which it was said, each with its best hits.

    Words are found in all their forms, with and without accents; of Chinese, Japanese, Korean, Thai
    and the like each run of characters is found. Filters hold together. With `mode=semantic`
    passages of half a minute are found that mean something near to `q`, whatever their words.
    """
    after = None if cursor is None else place_of(cursor, sort, mode)
    page = partial(
        search.page,
        q,
        caller,
        filter,
        mode=mode,
        order=sort,
        after=after,
        limit=limit,
        segments=hits,
        facets=facets,
    )
    found = await run_in_threadpool(page)
    return search_view(request, response, found, sort, mode=mode, facets=facets)
