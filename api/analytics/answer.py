"""Runs a query of the lake on a thread, stops it if the client disconnects, encodes its rows."""

import asyncio
import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any

from fastapi import Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.analytics.schemas import RowsResponse
from resources.lake.query import MAX_RESULT_BYTES, QueryResult, QueryStop
from resources.lake.query_output import MEDIA_TYPES, TableFormat, encoded_parts
from ytcaption.domain.errors import QueryError

DISCONNECT_CHECK_S = 0.2
"""How often is checked whether the client has disconnected."""
MAX_BODY_BYTES = 2 * MAX_RESULT_BYTES
"""A response repeats the columns' names in each row, and escapes characters."""

Form = Annotated[TableFormat | None, Query(description="Default: from `Accept`, else `json`.")]
Limit = Annotated[
    int | None,
    Query(ge=1, le=1_000_000, description="Maximum rows; the installation may allow fewer."),
]
Encode = Callable[[QueryResult], Response]
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
    run: Callable[[Encode, QueryStop], Response],
    name: str,
    format: TableFormat | None,
    accept: str,
    as_json: Callable[[QueryResult], Iterator[bytes]],
) -> Response:
    """Return the result of a query, encoded as the client wants it.

    Args:
        run: runs the query and encodes its result; called on a thread.
        name: of a downloaded file, without its extension.

    Raises:
        as `run`; QueryError: the rows cannot be encoded in the format, or are too large in it.
    """
    chosen = format or _accepted(accept)

    def response(stop: QueryStop, result: QueryResult) -> Response:
        parts = as_json(result) if chosen == "json" else encoded_parts(result, chosen)
        headers = {"Cache-Control": "private, no-store", "Vary": "Accept"}
        headers["X-Truncated"] = str(result.is_truncated).lower()
        if chosen != "json":
            headers["Content-Disposition"] = f'attachment; filename="{name}.{chosen}"'
        data = _joined(parts, chosen, stop)
        return Response(data, media_type=MEDIA_TYPES[chosen], headers=headers)

    return await _run_while_connected(request, lambda stop: run(partial(response, stop), stop))


def _joined(parts: Iterator[bytes], format: TableFormat, stop: QueryStop) -> bytes:
    """Return the parts as one, unless they are too large or the query is stopped."""
    body = io.BytesIO()
    for part in parts:
        stop.check()
        if body.tell() + len(part) > MAX_BODY_BYTES:
            raise QueryError(
                f"As {format}, the result is larger than {MAX_BODY_BYTES >> 20} MiB. Select fewer "
                "columns or rows, give columns shorter names, or choose the format parquet."
            )
        body.write(part)
    return body.getvalue()


async def _run_while_connected(request: Request, work: Callable[[QueryStop], Response]) -> Response:
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
