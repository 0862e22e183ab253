"""A page of transcriptions."""

from typing import Annotated

from fastapi import Request, Response
from pydantic import BaseModel, Field

from api.http.cursors import next_page
from api.transcriptions.list_parameters import cursor_of
from api.transcriptions.schemas import TranscriptionRead
from api.transcriptions.view import Links, status_view
from resources.transcriptions.listing import Position, TranscriptionDetail


class TranscriptionPage(BaseModel):
    """Some transcriptions, the newest first."""

    items: list[TranscriptionRead]
    next_cursor: Annotated[str | None, Field(description="Null on the last page.")]
    next_url: Annotated[
        str | None, Field(description="The next page with the same filters; also as `Link`.")
    ]


def page_view(
    request: Request,
    response: Response,
    details: list[TranscriptionDetail],
    limit: int,
    max_attempts: int,
    path: str = "/api/v1/transcriptions",
) -> TranscriptionPage:
    """A page and where the next one is.

    Args:
        details: one more than `limit` where there is a next page.
        path: of the list.
    """
    shown = details[:limit]
    cursor = url = None
    if len(details) > limit:
        last = shown[-1].transcription
        cursor = cursor_of(Position(last.created_at, last.id))
        url = next_page(request, response, path, cursor)
    response.headers["Cache-Control"] = "no-store"
    return TranscriptionPage(
        items=[
            status_view(detail, Links.of(request, detail.transcription.id), max_attempts)
            for detail in shown
        ],
        next_cursor=cursor,
        next_url=url,
    )
