"""A transcription's row as HTTP shows it: its links, its status, an accepted request."""

from datetime import datetime
from typing import NamedTuple, Self

from fastapi import Request, Response

from api.http.errors import POLL_AFTER_S
from api.http.schemas import Failure
from api.transcriptions.schemas import (
    AcceptedResponse,
    Media,
    TranscriptionOptions,
    TranscriptionProvenance,
    TranscriptionResponse,
    WaitReason,
    progress_of,
)
from resources.transcriptions.listing import TranscriptionDetail
from resources.transcriptions.rows import Submission, TranscriptionRow
from ytcaption.domain.request import TranscriptionStatus

_MIN_ELAPSED_S = 1.0
"""A stage must run this long before its speed gives a remaining time."""


class Links(NamedTuple):
    """The paths of a transcription; without a host, so they work behind any name of the server."""

    status_url: str
    result_url: str
    events_url: str
    audio_url: str

    @classmethod
    def of(cls, request: Request, id: str) -> Self:
        """Return the links of an id; a test checks that the routes exist."""
        path = f"{request.scope.get('root_path', '')}/api/v1/transcriptions/{id}"
        return cls(path, f"{path}/result", f"{path}/events", f"{path}/audio")


def accepted(request: Request, response: Response, submission: Submission) -> AcceptedResponse:
    """Return the response to a stored request; set `Location` and `Retry-After`, too."""
    body = accepted_view(request, submission)
    response.headers["Location"] = body.status_url
    poll_again(response, submission.transcription)
    return body


def accepted_view(request: Request, submission: Submission) -> AcceptedResponse:
    """Return the ids and links of a stored request."""
    row = submission.transcription
    links = Links.of(request, row.id)
    return AcceptedResponse(
        id=row.id,
        request_id=submission.request_id,
        status=row.status,
        status_url=links.status_url,
        result_url=links.result_url,
        events_url=links.events_url,
        created_at=row.created_at,
    )


def poll_again(response: Response, row: TranscriptionRow) -> None:
    """Set `Retry-After` for as long as the transcription may still change."""
    if not row.status.is_final:
        response.headers["Retry-After"] = str(POLL_AFTER_S)


def status_view(
    detail: TranscriptionDetail, links: Links, max_attempts: int
) -> TranscriptionResponse:
    """Return a transcription as its caller sees it."""
    row, media = detail.transcription, detail.media
    completed = row.status is TranscriptionStatus.COMPLETED
    is_retry = row.status is TranscriptionStatus.QUEUED and row.try_number > 1
    return TranscriptionResponse(
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
        waiting_for=WaitReason.of(detail.waiting_for),
        error=failure_of(row),
        priority=row.priority,
        media=Media.of(media),
        options=TranscriptionOptions.model_validate(row.options.to_dict()),
        language=row.language,
        duration_s=row.duration_s,
        word_count=row.word_count,
        created_at=row.created_at,
        updated_at=row.updated_at,
        completed_at=row.completed_at,
        metadata=detail.metadata,
        pinned=detail.pinned,
        provenance=(
            TranscriptionProvenance.model_validate(row.provenance.__dict__)
            if completed and row.provenance
            else None
        ),
        **links._asdict(),
    )


def eta_of(row: TranscriptionRow, at: datetime) -> float | None:
    """Return the seconds from `at` until the stage ends, at its speed until its last report."""
    done, total, started_at = row.progress_done, row.progress_total, row.stage_started_at
    if not done or not total or started_at is None:
        return None
    elapsed_s = (row.updated_at - started_at).total_seconds()
    if elapsed_s < _MIN_ELAPSED_S:
        return None
    left_s = (total - done) * elapsed_s / done - (at - row.updated_at).total_seconds()
    return round(max(0.0, left_s), 1)


def failure_of(row: TranscriptionRow) -> Failure | None:
    """Return why the last attempt failed; None if it did not."""
    if row.error_code is None:
        return None
    return Failure(code=row.error_code, message=row.error_message or "")
