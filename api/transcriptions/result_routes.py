"""The captions and the transcript."""

from fastapi import APIRouter, Response

from api.dependencies import ObjectStoreDep, PostgresDep, Reader, SettingsDep
from api.http.parameters import TranscriptionId
from api.responses import (
    DATABASE_UNAVAILABLE,
    ENTITY_HEADERS,
    NOT_FOUND,
    RESULT_ERRORS,
    result_response,
)
from api.transcriptions.action_responses import ERASED
from api.transcriptions.result import ResultAsked, result_answer
from resources.transcriptions.reads import get_transcription

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])


@router.get(
    "/transcriptions/{id}/result",
    operation_id="getTranscriptionResult",
    summary="Captions or transcript",
    response_class=Response,
    responses={
        200: result_response(),
        304: {"description": "You have it already.", "headers": ENTITY_HEADERS},
        **NOT_FOUND,
        **ERASED,
        **RESULT_ERRORS,
        **DATABASE_UNAVAILABLE,
    },
)
def read_result(
    id: TranscriptionId,
    caller: Reader,
    settings: SettingsDep,
    postgres: PostgresDep,
    object_store: ObjectStoreDep,
    asked: ResultAsked,
) -> Response:
    """The transcript in one of seven formats, as soon as `status` is `completed`.

    `json` is the whole document: segments, words with times and probabilities, provenance. Cells of
    `tsv` that a spreadsheet would take for a formula begin with an apostrophe.
    """
    row = get_transcription(postgres, id, caller.sees_only)
    return result_answer(row, asked, settings, postgres, object_store)
