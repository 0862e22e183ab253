"""Queries over all transcriptions of a caller: prepared views, and SELECTs."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.analytics.answer import ROWS_RESPONSE, Accept, Form, Limit, table_response
from api.analytics.schemas import QueryRequest, RowsResponse, View, ViewsResponse
from api.analytics.service import Analytics
from api.dependencies import Reader, SettingsDep, part
from api.responses import BODY_ERRORS, DATABASE_UNAVAILABLE, json_example, problem_response
from resources.lake.views import VIEWS
from ytcaption.domain.errors import InvalidOption

router = APIRouter(prefix="/api/v1", tags=["analytics"])

AnalyticsDep = Annotated[Analytics, part("analytics")]

_OWN_PARAMETERS = frozenset({"format", "limit"})

_VIEWS = {
    "views": [
        {
            "name": "growth",
            "summary": "Transcriptions made, by month.",
            "parameters": [
                {
                    "name": "since",
                    "kind": "date",
                    "description": "First day.",
                    "default": None,
                    "is_required": False,
                }
            ],
            "columns": [
                {
                    "name": "audio_h",
                    "type": "DOUBLE",
                    "description": "Length of their audio.",
                    "unit": "h",
                }
            ],
            "url": "/api/v1/analytics/growth",
        }
    ]
}
_VIEW_ERRORS = problem_response(
    404, ("view_not_found", "There is no view 'x'. The views are: growth.", "Unknown view")
) | problem_response(
    422,
    (
        "invalid_option",
        "The view growth has no parameter 'x'. Its parameters: since, until.",
        "A parameter is unknown, missing or wrong",
    ),
    (
        "invalid_request",
        "The request is not valid. query limit: Input should be greater than 0.",
        "`format` or `limit` is wrong",
    ),
    (
        "query_error",
        "The query took longer than 10 s and was stopped. Select less, or filter first.",
        "The query exceeds its limits of time, memory or disk space",
    ),
)
_QUERY_ERRORS = problem_response(
    422,
    (
        "query_error",
        "Only a single SELECT statement is allowed.",
        "The query is refused, wrong, or exceeds its limits of time, memory or disk space",
    ),
    (
        "invalid_request",
        "The request is not valid. body sql: Field required.",
        "A field or parameter is wrong",
    ),
)


@router.get(
    "/analytics",
    operation_id="listViews",
    summary="List views",
    responses=json_example(200, _VIEWS),
)
def list_views(caller: Reader) -> ViewsResponse:
    """Return each view with its parameters and columns."""
    return ViewsResponse(views=[View.of(view) for view in VIEWS.values()])


@router.get(
    "/analytics/{view}",
    operation_id="readView",
    summary="Query a view",
    response_class=Response,
    responses={200: ROWS_RESPONSE, **_VIEW_ERRORS, **DATABASE_UNAVAILABLE},
)
async def read_view(
    view: Annotated[str, Path(description="Its name.", max_length=60, examples=["growth"])],
    request: Request,
    caller: Reader,
    settings: SettingsDep,
    analytics: AnalyticsDep,
    format: Form = None,
    limit: Limit = None,
    accept: Accept = "",
) -> Response:
    """Return the rows of a view. Its parameters are query parameters; `GET /api/v1/analytics` lists
    them.

    A view covers what you have requested; for an admin, the whole library. Cells of `csv` that a
    spreadsheet would take for a formula start with an apostrophe. The query stops when the client
    disconnects.
    """
    rows = min(limit or settings.analytics.query_rows, settings.analytics.query_rows)
    run = partial(analytics.view, caller, view, _parameters(request), rows)
    as_json = partial(RowsResponse.encoded_parts, view)
    return await table_response(request, run, view, format, accept, as_json)


@router.post(
    "/analytics/query",
    operation_id="queryLibrary",
    summary="Run a SELECT",
    response_class=Response,
    responses={200: ROWS_RESPONSE, **BODY_ERRORS, **_QUERY_ERRORS, **DATABASE_UNAVAILABLE},
)
async def query_library(
    body: QueryRequest,
    request: Request,
    caller: Reader,
    settings: SettingsDep,
    analytics: AnalyticsDep,
    format: Form = None,
    limit: Limit = None,
    accept: Accept = "",
) -> Response:
    """Run one SELECT in DuckDB's dialect over `transcripts`, `segments`, `words`, `media`,
    `library`.

    The tables hold what you have requested; for an admin, the whole library. The query runs in its
    own process, without files, network or extensions, and is stopped at its limits of time and
    memory, or when the client disconnects. It cannot write.
    """
    rows = min(limit or settings.analytics.query_rows, settings.analytics.query_rows)
    run = partial(analytics.query, caller, body.sql, body.parameters, rows)
    as_json = partial(RowsResponse.encoded_parts, None)
    return await table_response(request, run, "query", format, accept, as_json)


def _parameters(request: Request) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in _OWN_PARAMETERS:
            continue
        if name in values:
            raise InvalidOption(f"Give {name[:60]!r} once.")
        values[name] = value
    return values
