"""Runs a query of the lake on a thread, stops it if the client disconnects, encodes its rows."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.analytics.schemas import RowsResponse
from resources.lake.query import QueryResult, QueryStop
from resources.lake.query_output import MEDIA_TYPES, TableFormat, encoded

DISCONNECT_CHECK_S = 0.2
"""How often is checked whether the client has disconnected."""

Form = Annotated[TableFormat | None, Query(description="Default: from `Accept`, else `json`.")]
Limit = Annotated[
    int | None,
    Query(ge=1, le=1_000_000, description="Maximum rows; the installation may allow fewer."),
]
Body = tuple[QueryResult, bytes]
Accept = Annotated[
    str, Header(max_length=2_000, description="Media types; the first supported one is used.")
]

_ROWS_EXAMPLE = {
    "view": "language_mix",
    "columns": [
        {"name": "month", "type": "DATE"},
        {"name": "language", "type": "VARCHAR"},
        {"name": "media", "type": "BIGINT"},
        {"name": "audio_h", "type": "DOUBLE"},
        {"name": "share", "type": "DOUBLE"},
    ],
    "rows": [{"month": "2026-11-01", "language": "en", "media": 12, "audio_h": 4.2, "share": 0.93}],
    "is_truncated": False,
}
ROWS_RESPONSE: dict[str, Any] = {
    "model": RowsResponse,
    "description": "The rows.",
    "content": {
        "application/json": {"example": _ROWS_EXAMPLE},
        **{
            media_type: {"schema": {"type": "string"}}
            for name, media_type in MEDIA_TYPES.items()
            if name != "json"
        },
    },
    "headers": {
        "X-Truncated": {
            "description": "`true` if there are more rows than `limit`.",
            "schema": {"type": "string"},
        }
    },
}


async def table_response(
    request: Request,
    run: Callable[[QueryStop], QueryResult],
    name: str,
    format: TableFormat | None,
    accept: str,
    as_json: Callable[[QueryResult], RowsResponse],
) -> Response:
    """Return the result of a query, encoded as the client wants it.

    Args:
        run: the query; runs on a thread.
        name: of a downloaded file, without its extension.

    Raises:
        as `run`; QueryError: the rows cannot be encoded in the format.
    """
    chosen = format or _accepted(accept)

    def body(stop: QueryStop) -> Body:
        result = run(stop)
        if chosen == "json":
            return result, as_json(result).model_dump_json().encode()
        return result, encoded(result, chosen)

    result, data = await _run_while_connected(request, body)
    headers = {"Cache-Control": "private, no-store", "Vary": "Accept"}
    headers["X-Truncated"] = str(result.is_truncated).lower()
    if chosen != "json":
        headers["Content-Disposition"] = f'attachment; filename="{name}.{chosen}"'
    return Response(data, media_type=MEDIA_TYPES[chosen], headers=headers)


async def _run_while_connected(request: Request, work: Callable[[QueryStop], Body]) -> Body:
    """Return the result of `work`; stop its query if the client disconnects or the server stops."""
    stop = QueryStop()
    task = asyncio.ensure_future(run_in_threadpool(work, stop))
    try:
        while not (await asyncio.wait({task}, timeout=DISCONNECT_CHECK_S))[0]:
            if await request.is_disconnected():
                break
    finally:
        stop.set()
    return await task


def _accepted(accept: str) -> TableFormat:
    """Return the first supported format in `Accept`; weights (`q`) are ignored."""
    names = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    for name, media_type in MEDIA_TYPES.items():
        if media_type.partition(";")[0] in names:
            return name
    return "json"
