"""The captions and the transcript."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from api.content_disposition import content_disposition, file_name
from api.dependencies import ObjectStoreDep, Reader, RequestStoreDep, SettingsDep
from api.ending_responses import ERASED
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
from ytcaption_assets.domain.caption_formats import CaptionFormat, check_words, render
from ytcaption_assets.domain.errors import InvalidOption
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
        **ERASED,
        **RESULT_REFUSALS,
        **DATABASE_AWAY,
    },
)
def read_result(
    id: TranscriptionId,
    caller: Reader,
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
    words: Annotated[
        bool | None,
        Query(
            description="When each word is spoken. `json` has them unless this is false; with true "
            "`vtt` has a timestamp before each word and `tsv` a row a word. Other formats have no "
            "place for them."
        ),
    ] = None,
    speakers: Annotated[
        bool, Query(description="Reserved: who speaks is not told apart yet, so true is refused.")
    ] = False,
    download: Annotated[bool, Query(description="Have the browser save it.")] = False,
    if_none_match: Annotated[
        str | None, Header(description="The `ETag` of what you have.", max_length=2_000)
    ] = None,
) -> Response:
    """The transcript in one of seven formats, as soon as `status` is `completed`.

    `json` is the whole document: segments, words with times and probabilities, provenance. Cells of
    `tsv` that a spreadsheet would take for a formula begin with an apostrophe.
    """
    check_words(format, words)
    if speakers:
        raise InvalidOption("Speakers are not told apart yet. Leave `speakers` out.")
    row = request_store.get(id, caller.sees_only)
    if (
        row.status is not TranscriptionStatus.COMPLETED
        or row.document_key is None
        or row.document_sha256 is None
    ):
        raise not_completed(row)
    layout = CaptionLayout.asked(settings, max_line_length, max_lines)
    tag = entity_tag(row.document_sha256, format, layout, words)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if is_known(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    document = object_store.read_bytes(row.document_key, row.document_sha256)
    transcript = Transcript.from_json(document)
    style = layout.style(transcript.text_language)
    text = render(transcript, format, style, words=words)
    name = file_name(request_store.media(row.media_id).title, fallback=id) + format.extension
    return Response(
        text.encode(),
        headers=headers
        | {
            "Content-Type": content_type(format),
            "Content-Disposition": content_disposition(name, attachment=download),
        },
    )
