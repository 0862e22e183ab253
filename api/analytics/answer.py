"""Answers to questions to the lake: asked in a thread, given up with the connection, encoded."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from api.analytics.examples import ANALYTICS_ROWS
from api.analytics.schemas import RowsRead
from resources.lake.query import QueryResult, QueryStop
from resources.lake.query_output import MEDIA_TYPES, TableFormat, encoded

LOOK_EVERY_S = 0.2
"""How soon it is noticed that the client has gone."""

Form = Annotated[TableFormat | None, Query(description="Left out: as `Accept` says, else `json`.")]
Limit = Annotated[
    int | None, Query(ge=1, le=1_000_000, description="Most rows; no more than are allowed.")
]
Body = tuple[QueryResult, bytes]
Accept = Annotated[
    str, Header(max_length=2_000, description="Media types; the first that is known counts.")
]

ROWS_ANSWER: dict[str, Any] = {
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
}


async def answered(
    request: Request,
    ask: Callable[[QueryStop], QueryResult],
    name: str,
    format: TableFormat | None,
    accept: str,
    as_json: Callable[[QueryResult], RowsRead],
) -> Response:
    """What `ask` gives in a thread, as the client wants it.

    Args:
        name: of a file that is downloaded, without its extension.

    Raises:
        as `ask`; QueryError: the rows cannot be written in the format.
    """
    chosen = format or _accepted(accept)

    def body(stop: QueryStop) -> Body:
        result = ask(stop)
        if chosen == "json":
            return result, as_json(result).model_dump_json().encode()
        return result, encoded(result, chosen)

    result, data = await _while_there(request, body)
    headers = {"Cache-Control": "private, no-store", "Vary": "Accept"}
    headers["X-Truncated"] = str(result.is_truncated).lower()
    if chosen != "json":
        headers["Content-Disposition"] = f'attachment; filename="{name}.{chosen}"'
    return Response(data, media_type=MEDIA_TYPES[chosen], headers=headers)


async def _while_there(request: Request, work: Callable[[QueryStop], Body]) -> Body:
    """What the work gives; where the client goes, or the server stops, its query is killed."""
    stop = QueryStop()
    task = asyncio.ensure_future(run_in_threadpool(work, stop))
    try:
        while not (await asyncio.wait({task}, timeout=LOOK_EVERY_S))[0]:
            if await request.is_disconnected():
                break
    finally:
        stop.set()
    return await task


def _accepted(accept: str) -> TableFormat:
    """The first that is named; what one would rather have (`q`) is not weighed."""
    wanted = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    for name, media_type in MEDIA_TYPES.items():
        if media_type.partition(";")[0] in wanted:
            return name
    return "json"
