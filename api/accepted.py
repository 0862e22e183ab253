"""The answer to who asks for a transcription, whatever way the media comes in."""

from fastapi import Request, Response

from api.errors import POLL_AFTER_S
from api.schemas import TranscriptionAccepted
from api.transcription_view import path_of
from resources.request_rows import Submission, TranscriptionRow


def accepted(request: Request, response: Response, submission: Submission) -> TranscriptionAccepted:
    """What was kept and where to look, in the body and in the headers."""
    row = submission.transcription
    status_url = path_of(request, "read_transcription", row.id)
    response.headers["Location"] = status_url
    look_again(response, row)
    return TranscriptionAccepted(
        id=row.id,
        request_id=submission.request_id,
        status=row.status,
        status_url=status_url,
        result_url=path_of(request, "read_result", row.id),
        created_at=row.created_at,
    )


def look_again(response: Response, row: TranscriptionRow) -> None:
    """Says when looking again is worth it, as long as something may still change."""
    if not row.status.is_final:
        response.headers["Retry-After"] = str(POLL_AFTER_S)
