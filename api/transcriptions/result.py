"""Results: captions and transcripts in the format and layout that a request asks for."""

import hashlib
import inspect
import threading
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from fastapi import Depends, Header, Query, Response

from api.http.content_disposition import content_disposition
from api.http.errors import SERVER_DETAIL, NotCompleted
from api.http.etags import is_known
from api.responses import ENTITY_HEADERS, FILE_HEADERS, RETRY_AFTER_HEADER, problem_response
from api.transcriptions.view import failure_of
from api.version import VERSION
from resources.object_store.store import ObjectStore
from resources.postgres.connection import Postgres
from resources.transcriptions.reads import seen_media
from resources.transcriptions.rows import TranscriptionRow
from ytcaption.domain.caller import Caller
from ytcaption.domain.captions.formats import CaptionFormat, check_words, render
from ytcaption.domain.captions.style import CaptionStyle
from ytcaption.domain.errors import InvalidOption, ObjectCorrupt
from ytcaption.domain.media.file_names import file_name
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption.settings.settings import Settings

SRT_EXAMPLE = "1\n00:00:00,320 --> 00:00:03,100\nAnd so, my fellow Americans,\n\n"

RESULT_ERRORS = (
    problem_response(
        409,
        (
            "result_not_ready",
            "The transcription failed (media_private): The video is private.",
            "Not completed; with the reason if it failed",
        ),
        transcription_status="failed",
        error={"code": "media_private", "message": "The video is private."},
    )
    | problem_response(
        422,
        (
            "invalid_request",
            "The request is not valid. query max_lines: Input should be less than or equal to 4.",
            "A parameter is wrong",
        ),
        (
            "invalid_option",
            "srt cannot hold the times of words. Leave out words=true, or request "
            "json, vtt or tsv.",
            "The format cannot hold words, or speakers are requested",
        ),
    )
    | problem_response(
        500, ("object_corrupt", SERVER_DETAIL[ObjectCorrupt], "The stored document is damaged")
    )
)
RESULT_ERRORS[409]["headers"] = RETRY_AFTER_HEADER
RENDERING = threading.BoundedSemaphore(2)
"""Held while a transcript is rendered. Rendering is pure Python: many at once would only slow each
other and the event loop."""

NOT_MODIFIED = {"description": "You have this version already.", "headers": ENTITY_HEADERS}


def result_documentation(more_headers: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the OpenAPI description of a result in each of its formats."""
    content: dict[str, Any] = {
        content_type(format): {"schema": {"type": "string"}} for format in CaptionFormat
    }
    content[content_type(CaptionFormat.SRT)]["example"] = SRT_EXAMPLE
    content[content_type(CaptionFormat.JSON)] = {
        "schema": {"$ref": "#/components/schemas/Transcript"}
    }
    return {
        "description": "The file.",
        "content": content,
        "headers": ENTITY_HEADERS | FILE_HEADERS | (more_headers or {}),
    }


def content_type(format: CaptionFormat) -> str:
    """Return the media type with its charset; JSON has none (RFC 8259 section 11)."""
    media_type = format.media_type
    if format is CaptionFormat.JSON or "charset" in media_type:
        return media_type
    return f"{media_type}; charset=utf-8"


class ResultOptions(NamedTuple):
    """How a result is rendered and sent."""

    format: CaptionFormat
    max_line_length: int | None
    max_lines: int | None
    words: bool | None
    download: bool
    if_none_match: str | None


async def _result_options(
    format: Annotated[
        CaptionFormat,
        Query(description="`srt`, `vtt` and `ass` are captions; the others are for reading."),
    ] = CaptionFormat.JSON,
    max_line_length: Annotated[
        int | None,
        Query(
            ge=6,
            le=120,
            description="Characters per caption line. Default: 42, or 16 in Chinese, Japanese and "
            "Korean, unless the installation is configured otherwise.",
        ),
    ] = None,
    max_lines: Annotated[
        int | None, Query(ge=1, le=4, description="Lines per caption. Default: 2.")
    ] = None,
    words: Annotated[
        bool | None,
        Query(
            description="Times of each word. `json` has them unless this is false; with true `vtt` "
            "has a timestamp before each word and `tsv` a row per word. The other formats cannot "
            "hold them."
        ),
    ] = None,
    speakers: Annotated[
        bool, Query(description="Reserved: speakers are not recognised yet, so true is refused.")
    ] = False,
    download: Annotated[bool, Query(description="Have the browser save the file.")] = False,
    if_none_match: Annotated[
        str | None, Header(description="The `ETag` of the version you have.", max_length=2_000)
    ] = None,
) -> ResultOptions:
    """Return the options of a result.

    Raises:
        InvalidOption: the format cannot hold words, or speakers are requested.
    """
    check_words(format, words)
    if speakers:
        raise InvalidOption("Speakers are not recognised yet. Leave `speakers` out.")
    return ResultOptions(format, max_line_length, max_lines, words, download, if_none_match)


ResultOptionsDep = Annotated[ResultOptions, Depends(_result_options)]


class CaptionLayout(NamedTuple):
    """The numbers that lay captions out: the caller's, else the settings'."""

    line_length: int
    cjk_line_length: int
    max_lines: int

    @classmethod
    def requested(cls, settings: Settings, line_length: int | None, max_lines: int | None) -> Self:
        """Return the layout; a requested line length applies to every language."""
        return cls(
            line_length or settings.captions.caption_line_length,
            line_length or settings.captions.caption_cjk_line_length,
            max_lines or settings.captions.caption_lines,
        )

    def style(self, language: str | None) -> CaptionStyle:
        """Return the style for a text in this language."""
        return CaptionStyle.for_language(language, **self._asdict())


def result_response(
    row: TranscriptionRow,
    options: ResultOptions,
    settings: Settings,
    postgres: Postgres,
    object_store: ObjectStore,
    caller: Caller,
) -> Response:
    """Return the rendered file, or 304.

    Raises:
        ResultNotReady: there is none yet, or there never will be one.
    """
    if (
        row.status is not TranscriptionStatus.COMPLETED
        or row.document_key is None
        or row.document_sha256 is None
    ):
        raise not_completed(row)
    layout = CaptionLayout.requested(settings, options.max_line_length, options.max_lines)
    tag = entity_tag(row.document_sha256, options.format, layout, options.words)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if is_known(options.if_none_match, tag):
        return Response(status_code=304, headers=headers)
    document = object_store.read_bytes(row.document_key, row.document_sha256)
    with RENDERING:
        transcript = Transcript.from_json(document)
        style = layout.style(transcript.text_language)
        content = render(transcript, options.format, style, words=options.words).encode()
    title = seen_media(postgres, row.media_id, caller.sees_only).title
    name = file_name(title, fallback=row.id) + options.format.extension
    return Response(
        content,
        headers=headers
        | {
            "Content-Type": content_type(options.format),
            "Content-Disposition": content_disposition(name, attachment=options.download),
        },
    )


def not_completed(row: TranscriptionRow) -> NotCompleted:
    """Return the error that says why a transcription has no result."""
    failure = failure_of(row)
    if row.status is TranscriptionStatus.FAILED and failure:
        message = f"The transcription failed ({failure.code}): {failure.message}"
    elif row.status.is_final:
        message = "The transcription was canceled. Request it again to restart it."
    else:
        message = f"The transcription is {row.status.value}. Ask again when it is completed."
    return NotCompleted(message, row.status, failure.model_dump() if failure else None)


def entity_tag(
    document_sha256: str, format: CaptionFormat, layout: CaptionLayout, words: bool | None
) -> str:
    """Return a strong tag (RFC 9110 section 8.8.3): equal tags, equal bytes.

    The bytes depend on the document, the format, the layout, the words and the rendering code.
    """
    parts = (document_sha256, format.value, *map(str, layout), str(words), _renderer_sha256())
    return f'"{hashlib.sha256("|".join(parts).encode()).hexdigest()[:40]}"'


def renderer_files() -> list[Path]:
    """Return the source files that render captions."""
    return sorted(Path(inspect.getfile(CaptionFormat)).parent.glob("*.py"))


@cache
def _renderer_sha256() -> str:
    digest = hashlib.sha256(VERSION.encode())
    for path in renderer_files():
        digest.update(path.read_bytes())
    return digest.hexdigest()
