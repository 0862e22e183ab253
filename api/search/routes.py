"""`GET /api/v1/search`: find what was said."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Request, Response

from api.dependencies import LongWorkDep, Reader, part
from api.responses import DATABASE_UNAVAILABLE, LINK_HEADER, json_example, problem_response
from api.search.parameters import (
    Cursor,
    Facets,
    HitLimit,
    MediaLimit,
    SearchFilterDep,
    SearchMode,
    SearchOrder,
    SearchText,
    position_of,
)
from api.search.schemas import SearchPage
from api.search.view import search_view
from api.transcriptions.examples import EXAMPLE_ID, EXAMPLE_PATH
from resources.search.service import Search

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])

SearchDep = Annotated[Search, part("search")]

_EXAMPLE = {
    "items": [
        {
            "transcription_id": EXAMPLE_ID,
            "media_id": "youtube-dQw4w9WgXcQ",
            "title": "Ask not",
            "channel": "JFK Library",
            "channel_id": "UC3SMWL3Q1SjLMZ5c0Ygl0iA",
            "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
            "published_on": "2026-11-24",
            "language": "en",
            "source": "asr",
            "duration_s": 11.0,
            "score": 0.62,
            "hit_count": 1,
            "hits": [
                {
                    "start_s": 0.0,
                    "end_s": 7.6,
                    "text": "And so, my fellow Americans, ask not",
                    "index": 0,
                    "marks": [[29, 32]],
                    "score": 0.62,
                    "before": None,
                    "after": {"start_s": 7.6, "end_s": 11.0, "text": "what your country can do"},
                    "page_url": f"/#{EXAMPLE_ID}&t=0",
                    "media_url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=0s",
                }
            ],
            "status_url": EXAMPLE_PATH,
            "result_url": f"{EXAMPLE_PATH}/result",
        }
    ],
    "media_count": 1,
    "hit_count": 1,
    "is_complete": True,
    "notes": [],
    "facets": {
        "channels": [
            {
                "channel": "JFK Library",
                "channel_id": "UC3SMWL3Q1SjLMZ5c0Ygl0iA",
                "media_count": 1,
                "hit_count": 1,
            }
        ],
        "months": [{"month": "2026-11", "media_count": 1, "hit_count": 1}],
    },
    "next_cursor": None,
    "next_url": None,
}
_ERRORS = problem_response(
    400,
    (
        "invalid_cursor",
        "This cursor was not issued by this search. Use `next_url` of a page, "
        "or start without a cursor.",
        "The cursor is not valid",
    ),
) | problem_response(
    422,
    (
        "invalid_search",
        "The search only excludes words. Add a word to find.",
        "The search has nothing to find",
    ),
    (
        "search_too_broad",
        "This search has too many matches to finish in time. Add a word, write "
        "more of a word before *, or filter by channel or time.",
        "The search matches too much",
    ),
    (
        "invalid_request",
        "The request is not valid. query limit: Input should be less than or equal to 50.",
        "A parameter is wrong",
    ),
)


@router.get(
    "/search",
    operation_id="search",
    summary="Search what was said",
    responses=json_example(200, _EXAMPLE, headers=LINK_HEADER) | _ERRORS | DATABASE_UNAVAILABLE,
)
async def search_transcripts(
    request: Request,
    response: Response,
    caller: Reader,
    search: SearchDep,
    long_work: LongWorkDep,
    filter: SearchFilterDep,
    q: SearchText,
    mode: SearchMode = "keyword",
    sort: SearchOrder = "relevance",
    facets: Facets = True,
    limit: MediaLimit = 10,
    hits: HitLimit = 3,
    cursor: Cursor = None,
) -> SearchPage:
    """Search all completed transcriptions that you requested (an admin: everybody's), in any
    language. Returns the media that match, each with its best hits.

    Words match in all their forms, with and without accents. In Chinese, Japanese, Korean, Thai and
    similar scripts any run of characters matches. All filters must match. With `mode=semantic`
    passages of half a minute match that mean something similar to `q`, whatever their words.
    """
    after = None if cursor is None else position_of(cursor, sort, mode)
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
    results = await long_work.searches.run(caller, page)
    return search_view(request, response, results, sort, mode=mode, facets=facets)
