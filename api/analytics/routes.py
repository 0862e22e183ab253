"""Questions to the library as a whole."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from api.analytics.answer import ROWS_ANSWER, Accept, Form, Limit, answered
from api.analytics.dependencies import AnalyticsDep
from api.analytics.examples import ANALYTICS_VIEWS
from api.analytics.schemas import QueryAsked, RowsRead, ViewRead, ViewsRead
from api.dependencies import Reader, SettingsDep
from api.responses import BODY_ERRORS, DATABASE_UNAVAILABLE, QUERY_ERRORS, VIEW_ERRORS
from resources.lake.views import VIEWS
from ytcaption.domain.errors import InvalidOption

router = APIRouter(prefix="/api/v1", tags=["analytics"])

_OWN_PARAMETERS = frozenset({"format", "limit"})


@router.get(
    "/analytics",
    operation_id="listViews",
    summary="The questions that can be asked",
    responses={200: {"content": {"application/json": {"example": ANALYTICS_VIEWS}}}},
)
def list_views(caller: Reader) -> ViewsRead:
    """Each view with its parameters and the columns of its answer."""
    return ViewsRead(views=[ViewRead.of(view) for view in VIEWS.values()])


@router.get(
    "/analytics/{view}",
    operation_id="readView",
    summary="One question's answer",
    response_class=Response,
    responses={200: ROWS_ANSWER, **VIEW_ERRORS, **DATABASE_UNAVAILABLE},
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
    """The view's parameters are query parameters; `GET /api/v1/analytics` lists them.

    Counted is what you have asked for; for an admin, the whole library. Cells of `csv` that a
    spreadsheet would take for a formula begin with an apostrophe. The question ends with the
    connection.
    """
    rows = min(limit or settings.query_rows, settings.query_rows)
    ask = partial(analytics.view, caller, view, _given(request), rows)
    return await answered(request, ask, view, format, accept, partial(RowsRead.of, view))


@router.post(
    "/analytics/query",
    operation_id="queryLibrary",
    summary="A SELECT of your own",
    response_class=Response,
    responses={200: ROWS_ANSWER, **BODY_ERRORS, **QUERY_ERRORS, **DATABASE_UNAVAILABLE},
)
async def query_library(
    asked: QueryAsked,
    request: Request,
    caller: Reader,
    settings: SettingsDep,
    analytics: AnalyticsDep,
    format: Form = None,
    limit: Limit = None,
    accept: Accept = "",
) -> Response:
    """One SELECT in DuckDB's dialect over `transcripts`, `segments`, `words`, `media`, `library`.

    The tables hold what you have asked for; for an admin, the whole library. It runs in a process
    of its own, without files, network or extensions, and ends at its limits of time and memory, or
    with the connection. Nothing can be written.
    """
    rows = min(limit or settings.query_rows, settings.query_rows)
    ask = partial(analytics.query, caller, asked.sql, asked.parameters, rows)
    return await answered(request, ask, "query", format, accept, partial(RowsRead.of, None))


def _given(request: Request) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in _OWN_PARAMETERS:
            continue
        if name in given:
            raise InvalidOption(f"Give {name[:60]!r} once.")
        given[name] = value
    return given
