"""What happened to a transcription."""

from fastapi import APIRouter, Response

from api.dependencies import PostgresDep, Reader
from api.http.parameters import TranscriptionId
from api.http.uuid_cursor import PlaceDep
from api.responses import DATABASE_UNAVAILABLE, LIST_ERRORS, NOT_FOUND
from api.transcriptions.action_responses import ERASED
from api.transcriptions.history_view import HISTORY_EXAMPLE, HistoryPage, history_view
from api.transcriptions.list_parameters import Limit
from resources.transcriptions.history import event_history

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])


@router.get(
    "/transcriptions/{id}/history",
    operation_id="getTranscriptionHistory",
    summary="What happened to a transcription",
    responses={
        200: {"content": {"application/json": {"example": HISTORY_EXAMPLE}}},
        **LIST_ERRORS,
        **NOT_FOUND,
        **ERASED,
        **DATABASE_UNAVAILABLE,
    },
)
def read_history(
    id: TranscriptionId,
    caller: Reader,
    postgres: PostgresDep,
    response: Response,
    after: PlaceDep,
    limit: Limit = 50,
) -> HistoryPage:
    """Every event, the first one first, page by page. Of requests you see your own, an admin all.

    Events say what happened in ids, codes and numbers; texts, such as an error's message, are with
    the status.
    """
    response.headers["Cache-Control"] = "no-store"
    events = event_history(postgres, id, caller.sees_only, after=after, limit=limit + 1)
    return history_view(events, limit)
