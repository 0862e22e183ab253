"""Questions to the library as a whole."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Request, Response

from api.analytics_schemas import RowsRead, ViewRead, ViewsRead
from api.dependencies import AnalyticsDep, Reader, SettingsDep
from api.examples import ANALYTICS_ROWS, ANALYTICS_VIEWS
from api.responses import DATABASE_AWAY, VIEW_REFUSALS
from resources.lake_views import VIEWS
from resources.query_output import MEDIA_TYPES, TableFormat, encoded
from ytcaption_assets.domain.errors import InvalidOption

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
    responses={
        200: {
            "model": RowsRead,
            "description": "The rows.",
            "content": {
                "application/json": {"example": ANALYTICS_ROWS},
                **{
                    media_type: {"schema": {"type": "string"}}
                    for name, media_type in MEDIA_TYPES.items()
                    if name != "json"
                },
            },
            "headers": {
                "X-Truncated": {
                    "description": "`true` where there are more rows than `limit`.",
                    "schema": {"type": "string"},
                }
            },
        },
        **VIEW_REFUSALS,
        **DATABASE_AWAY,
    },
)
def read_view(
    view: Annotated[str, Path(description="Its name.", max_length=60, examples=["growth"])],
    request: Request,
    caller: Reader,
    settings: SettingsDep,
    analytics: AnalyticsDep,
    format: Annotated[
        TableFormat | None,
        Query(description="Left out: as `Accept` says, else `json`."),
    ] = None,
    limit: Annotated[
        int | None, Query(ge=1, le=1_000_000, description="Most rows; no more than are allowed.")
    ] = None,
    accept: Annotated[
        str, Header(max_length=2_000, description="Media types; the first that is known counts.")
    ] = "",
) -> Response:
    """The view's parameters are query parameters; `GET /api/v1/analytics` lists them.

    Counted is what you have asked for; for an admin, the whole library. Cells of `csv` that a
    spreadsheet would take for a formula begin with an apostrophe.
    """
    rows = min(limit or settings.query_rows, settings.query_rows)
    result = analytics.view(caller, view, _given(request), rows)
    chosen = format or _accepted(accept)
    headers = {"Cache-Control": "private, no-store", "Vary": "Accept"}
    headers["X-Truncated"] = str(result.is_truncated).lower()
    if chosen == "json":
        body = RowsRead.of(view, result).model_dump_json().encode()
    else:
        body = encoded(result, chosen)
        headers["Content-Disposition"] = f'attachment; filename="{view}.{chosen}"'
    return Response(body, media_type=MEDIA_TYPES[chosen], headers=headers)


def _given(request: Request) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in _OWN_PARAMETERS:
            continue
        if name in given:
            raise InvalidOption(f"Give {name[:60]!r} once.")
        given[name] = value
    return given


def _accepted(accept: str) -> TableFormat:
    """The first that is named; what one would rather have (`q`) is not weighed."""
    wanted = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    for name, media_type in MEDIA_TYPES.items():
        if media_type.partition(";")[0] in wanted:
            return name
    return "json"
