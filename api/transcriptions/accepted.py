"""The answer to who asks for a transcription, whatever way the media comes in."""

from fastapi import Request, Response

from api.http.errors import POLL_AFTER_S
from api.transcriptions.schemas import TranscriptionAccepted
from api.transcriptions.view import Links
from resources.transcriptions.rows import Submission, TranscriptionRow


def accepted(request: Request, response: Response, submission: Submission) -> TranscriptionAccepted:
    """What was kept and where to look, in the body and in the headers."""
    answer = accepted_view(request, submission)
    response.headers["Location"] = answer.status_url
    poll_again(response, submission.transcription)
    return answer


def accepted_view(request: Request, submission: Submission) -> TranscriptionAccepted:
    """What was kept and where to look."""
    row = submission.transcription
    links = Links.of(request, row.id)
    return TranscriptionAccepted(
        id=row.id,
        request_id=submission.request_id,
        status=row.status,
        status_url=links.status_url,
        result_url=links.result_url,
        events_url=links.events_url,
        created_at=row.created_at,
    )


def poll_again(response: Response, row: TranscriptionRow) -> None:
    """Says when looking again is worth it, as long as something may still change."""
    if not row.status.is_final:
        response.headers["Retry-After"] = str(POLL_AFTER_S)
