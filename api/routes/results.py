"""The captions and the transcript."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from api.content_disposition import content_disposition, file_name
from api.dependencies import ObjectStoreDep, RequestStoreDep, SettingsDep
from api.parameters import TranscriptionId
from api.responses import (
    DATABASE_AWAY,
    ENTITY_HEADERS,
    NOT_FOUND,
    RESULT_REFUSALS,
    content_type,
    result_response,
)
from api.transcription_view import CaptionLayout, entity_tag, is_known, not_completed
from ytcaption_assets.domain.caption_formats import CaptionFormat, render
from ytcaption_assets.domain.request import TranscriptionStatus
from ytcaption_assets.domain.transcript import Transcript

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
        **RESULT_REFUSALS,
        **DATABASE_AWAY,
    },
)
def read_result(
    id: TranscriptionId,
    settings: SettingsDep,
    request_store: RequestStoreDep,
    object_store: ObjectStoreDep,
    format: Annotated[
        CaptionFormat,
        Query(description="`srt`, `vtt` and `ass` are captions, the others are read."),
    ] = CaptionFormat.JSON,
    max_line_length: Annotated[
        int | None,
        Query(
            ge=6,
            le=120,
            description="Characters a caption line; left out: 42, or 16 in Chinese, Japanese "
            "and Korean, unless the installation says otherwise.",
        ),
    ] = None,
    max_lines: Annotated[
        int | None, Query(ge=1, le=4, description="Lines a caption; left out: 2.")
    ] = None,
    download: Annotated[bool, Query(description="Have the browser save it.")] = False,
    if_none_match: Annotated[
        str | None, Header(description="The `ETag` of what you have.", max_length=2_000)
    ] = None,
) -> Response:
    """The transcript in one of seven formats, as soon as `status` is `completed`.

    `json` is the whole document: segments, words with times and probabilities, provenance.
    """
    row = request_store.get(id)
    if (
        row.status is not TranscriptionStatus.COMPLETED
        or row.document_key is None
        or row.document_sha256 is None
    ):
        raise not_completed(row)
    layout = CaptionLayout.asked(settings, max_line_length, max_lines)
    tag = entity_tag(row.document_sha256, format, layout)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if is_known(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    document = object_store.read_bytes(row.document_key, row.document_sha256)
    transcript = Transcript.from_json(document)
    text = render(transcript, format, layout.style(transcript.text_language))
    name = file_name(request_store.media(row.media_id).title, fallback=id) + format.extension
    return Response(
        text.encode(),
        headers=headers
        | {
            "Content-Type": content_type(format),
            "Content-Disposition": content_disposition(name, attachment=download),
        },
    )
