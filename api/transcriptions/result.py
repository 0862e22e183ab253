"""A result in the format that is asked for."""

from typing import Annotated, NamedTuple

from fastapi import Depends, Header, Query, Response

from api.http.content_disposition import content_disposition
from api.responses import content_type
from api.transcriptions.view import CaptionLayout, entity_tag, is_known, not_completed
from resources.object_store.store import ObjectStore
from resources.postgres.connection import Postgres
from resources.transcriptions.reads import get_media
from resources.transcriptions.rows import TranscriptionRow
from ytcaption.domain.captions.formats import CaptionFormat, check_words, render
from ytcaption.domain.errors import InvalidOption
from ytcaption.domain.media.file_names import file_name
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption.settings import Settings


class _Asked(NamedTuple):
    format: CaptionFormat
    max_line_length: int | None
    max_lines: int | None
    words: bool | None
    download: bool
    if_none_match: str | None


async def _asked(
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
) -> _Asked:
    """How a result is to look.

    Raises:
        InvalidOption: words or speakers that cannot be told.
    """
    check_words(format, words)
    if speakers:
        raise InvalidOption("Speakers are not told apart yet. Leave `speakers` out.")
    return _Asked(format, max_line_length, max_lines, words, download, if_none_match)


ResultAsked = Annotated[_Asked, Depends(_asked)]


def result_answer(
    row: TranscriptionRow,
    asked: ResultAsked,
    settings: Settings,
    postgres: Postgres,
    object_store: ObjectStore,
) -> Response:
    """The file, or 304.

    Raises:
        ResultNotReady: there is none yet, or there will be none.
    """
    if (
        row.status is not TranscriptionStatus.COMPLETED
        or row.document_key is None
        or row.document_sha256 is None
    ):
        raise not_completed(row)
    layout = CaptionLayout.asked(settings, asked.max_line_length, asked.max_lines)
    tag = entity_tag(row.document_sha256, asked.format, layout, asked.words)
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if is_known(asked.if_none_match, tag):
        return Response(status_code=304, headers=headers)
    document = object_store.read_bytes(row.document_key, row.document_sha256)
    transcript = Transcript.from_json(document)
    style = layout.style(transcript.text_language)
    text = render(transcript, asked.format, style, words=asked.words)
    title = get_media(postgres, row.media_id).title
    name = file_name(title, fallback=row.id) + asked.format.extension
    return Response(
        text.encode(),
        headers=headers
        | {
            "Content-Type": content_type(asked.format),
            "Content-Disposition": content_disposition(name, attachment=asked.download),
        },
    )
