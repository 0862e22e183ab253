"""`GET /api/v1/transcriptions/{id}/result`: captions and transcripts."""

from functools import partial

from fastapi import APIRouter, Response

from api.dependencies import LongWorkDep, ObjectStoreDep, PostgresDep, Reader, SettingsDep
from api.responses import DATABASE_UNAVAILABLE, TRANSCRIPTION_ERASED, TRANSCRIPTION_NOT_FOUND
from api.transcriptions.dependencies import TranscriptionId
from api.transcriptions.result import (
    NOT_MODIFIED,
    RESULT_ERRORS,
    ResultOptions,
    ResultOptionsDep,
    result_documentation,
    result_response,
)
from resources.object_store.store import ObjectStore
from resources.postgres.connection import Postgres
from resources.transcriptions.reads import get_transcription
from ytcaption.domain.caller import Caller
from ytcaption.settings.settings import Settings

router = APIRouter(prefix="/api/v1", tags=["transcriptions"])


@router.get(
    "/transcriptions/{id}/result",
    operation_id="getTranscriptionResult",
    summary="Get captions or the transcript",
    response_class=Response,
    responses={
        200: result_documentation(),
        304: NOT_MODIFIED,
        **TRANSCRIPTION_NOT_FOUND,
        **TRANSCRIPTION_ERASED,
        **RESULT_ERRORS,
        **DATABASE_UNAVAILABLE,
    },
)
async def read_result(
    id: TranscriptionId,
    caller: Reader,
    settings: SettingsDep,
    postgres: PostgresDep,
    object_store: ObjectStoreDep,
    options: ResultOptionsDep,
    long_work: LongWorkDep,
) -> Response:
    """Return the result in one of seven formats, once `status` is `completed`.

    `json` is the complete document: segments, words with times and probabilities, provenance. Cells
    of `tsv` that a spreadsheet would take for a formula start with an apostrophe.
    """
    read = partial(_read, id, caller, settings, postgres, object_store, options)
    return await long_work.results.run(caller, read)


def _read(
    id: str,
    caller: Caller,
    settings: Settings,
    postgres: Postgres,
    object_store: ObjectStore,
    options: ResultOptions,
) -> Response:
    row = get_transcription(postgres, id, caller.sees_only)
    return result_response(row, options, settings, postgres, object_store, caller)
