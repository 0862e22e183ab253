"""What the routes of versions answer, for the document."""

from typing import Any

from api.http.errors import HTTP_DETAILS
from api.responses import BODY_ERRORS, problem_response
from api.transcriptions.examples import EXAMPLE_PATH, status_example

_MEDIA_PATH = "/api/v1/media/youtube-dQw4w9WgXcQ"
_ID = EXAMPLE_PATH.rpartition("/")[2]

MEDIA_EXAMPLE: dict[str, Any] = {
    "media": status_example()["media"],
    "versions": 2,
    "completed": 1,
    "latest": _ID,
    "versions_url": f"{_MEDIA_PATH}/transcripts",
    "latest_url": f"{_MEDIA_PATH}/transcripts/latest",
}
VERSIONS_EXAMPLE: dict[str, Any] = {
    "items": [status_example()],
    "next_cursor": None,
    "next_url": None,
}
ANEW_EXAMPLE: dict[str, Any] = {
    "dry_run": False,
    "looked_at": 3,
    "number": 2,
    "audio_s": 5400.0,
    "ids": [_ID],
    "kinds": [
        {"made_by": "base", "model": "small", "language": "en", "number": 2, "audio_s": 5400.0}
    ],
    "joined": 0,
    "left_out": [{"reason": "are there already", "number": 1}],
    "next_cursor": None,
}
CONTENT_LOCATION = {
    "Content-Location": {
        "description": "`result_url` of the version that this is.",
        "schema": {"type": "string", "format": "uri-reference"},
    }
}
ANEW_ERRORS = (
    BODY_ERRORS
    | problem_response(
        400,
        ("malformed_request", HTTP_DETAILS[400], "The body is no JSON"),
        ("invalid_cursor", "This cursor is none that an answer gave.", "A wrong cursor"),
    )
    | problem_response(
        422,
        ("invalid_option", "`colour` is no column. There are: model, ...", "Not understood"),
        ("unknown_model", "Unknown model 'huge'. This installation offers: base.", "No such model"),
        ("unknown_language", "Unknown language 'xx'.", "No such language"),
        ("invalid_request", "The request is not valid. #/limit.", "A field is wrong"),
    )
)
