"""A transcription's row as its status, its captions, and the reason why there are none yet."""

import hashlib
import inspect
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple, Self

from fastapi import Request

from api.http.errors import NotCompleted
from api.http.schemas import Failure
from api.transcriptions.schemas import (
    MediaRead,
    OptionsRead,
    ProvenanceRead,
    TranscriptionRead,
    WaitingRead,
    progress_of,
)
from api.version import VERSION
from resources.transcriptions.listing import TranscriptionDetail
from resources.transcriptions.rows import TranscriptionRow
from ytcaption.domain.captions.formats import CaptionFormat
from ytcaption.domain.captions.style import CaptionStyle
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.settings import Settings

_ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')


_MEASURED_S = 1.0
"""Of a stage before its speed says anything."""


class Links(NamedTuple):
    """Where a transcription is found: as paths, so that they hold behind any name of the server."""

    status_url: str
    result_url: str
    events_url: str
    audio_url: str

    @classmethod
    def of(cls, request: Request, id: str) -> Self:
        """Those of an id; a test checks that the routes are there."""
        path = f"{request.scope.get('root_path', '')}/api/v1/transcriptions/{id}"
        return cls(path, f"{path}/result", f"{path}/events", f"{path}/audio")


def status_view(detail: TranscriptionDetail, links: Links, max_attempts: int) -> TranscriptionRead:
    """All that a caller is told of a transcription."""
    row, media = detail.transcription, detail.media
    completed = row.status is TranscriptionStatus.COMPLETED
    is_retry = row.status is TranscriptionStatus.QUEUED and row.try_number > 1
    return TranscriptionRead(
        id=row.id,
        status=row.status,
        stage=row.stage,
        progress=progress_of(
            row.stage, row.progress_done, row.progress_total, eta_of(row, detail.read_at)
        ),
        queue_position=detail.queue_position,
        attempt=row.try_number,
        max_attempts=max_attempts,
        next_attempt_at=row.next_attempt_at if is_retry else None,
        waiting_for=WaitingRead.of(detail.waiting_for),
        error=failure_of(row),
        priority=row.priority,
        media=MediaRead.of(media),
        options=OptionsRead.model_validate(row.options.to_dict()),
        language=row.language,
        duration_s=row.duration_s,
        word_count=row.word_count,
        created_at=row.created_at,
        updated_at=row.updated_at,
        completed_at=row.completed_at,
        metadata=detail.metadata,
        keep=detail.pinned,
        provenance=(
            ProvenanceRead.model_validate(row.provenance.__dict__)
            if completed and row.provenance
            else None
        ),
        **links._asdict(),
    )


def eta_of(row: TranscriptionRow, at: datetime) -> float | None:
    """Seconds from `at` until the stage ends, at the speed that it had until its last report."""
    done, total, started_at = row.progress_done, row.progress_total, row.stage_started_at
    if not done or not total or started_at is None:
        return None
    took_s = (row.updated_at - started_at).total_seconds()
    if took_s < _MEASURED_S:
        return None
    left_s = (total - done) * took_s / done - (at - row.updated_at).total_seconds()
    return round(max(0.0, left_s), 1)


def failure_of(row: TranscriptionRow) -> Failure | None:
    """Why the last attempt failed."""
    if row.error_code is None:
        return None
    return Failure(code=row.error_code, message=row.error_message or "")


def not_completed(row: TranscriptionRow) -> NotCompleted:
    """Why there is no result, for a row that is not completed."""
    failure = failure_of(row)
    if row.status is TranscriptionStatus.FAILED and failure:
        message = f"The transcription failed ({failure.code}): {failure.message}"
    elif row.status.is_final:
        message = "The transcription was canceled. Ask for it again to start it anew."
    else:
        message = f"The transcription is {row.status.value}. Ask again when it is completed."
    return NotCompleted(message, row.status, failure.model_dump() if failure else None)


class CaptionLayout(NamedTuple):
    """The numbers that lay captions out: the caller's, else the settings'."""

    line_length: int
    cjk_line_length: int
    max_lines: int

    @classmethod
    def asked(cls, settings: Settings, line_length: int | None, max_lines: int | None) -> Self:
        """A line length that is asked for holds for every language."""
        return cls(
            line_length or settings.caption_line_length,
            line_length or settings.caption_cjk_line_length,
            max_lines or settings.caption_lines,
        )

    def style(self, language: str | None) -> CaptionStyle:
        """For a text in this language."""
        return CaptionStyle.for_language(language, **self._asdict())


def entity_tag(
    document_sha256: str, format: CaptionFormat, layout: CaptionLayout, words: bool | None
) -> str:
    """Strong (RFC 9110 section 8.8.3): equal tags, equal bytes.

    The document, the format, the layout, the words and the code that renders make the bytes.
    """
    parts = (document_sha256, format.value, *map(str, layout), str(words), _renderer_sha256())
    return f'"{hashlib.sha256("|".join(parts).encode()).hexdigest()[:40]}"'


@cache
def _renderer_sha256() -> str:
    folder = Path(inspect.getfile(CaptionFormat)).parent
    digest = hashlib.sha256(VERSION.encode())
    for path in sorted(folder.glob("caption*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_known(if_none_match: str | None, tag: str) -> bool:
    """Whether the caller has the bytes already (RFC 9110 section 13.1.2)."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or tag in _ENTITY_TAG.findall(if_none_match)
