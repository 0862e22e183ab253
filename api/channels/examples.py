"""Examples and errors of the channel routes for the OpenAPI document."""

from typing import Any

from api.responses import (
    INVALID_URL,
    PRIVATE_ADDRESS,
    UNKNOWN_FIELD,
    UNKNOWN_LANGUAGE,
    UNKNOWN_MODEL,
    problem_response,
)
from api.transcriptions.examples import EXAMPLE_ID, EXAMPLE_PATH

_ID = "youtube-UC5NOEUbkLheQcaaRldYW5GA.u2hzmy3d5pq7ka2c6vpo4wy2jd"
_PATH = f"/api/v1/channels/{_ID}"
_URL = "https://www.youtube.com/@tagesschau"

CREATE_EXAMPLES: dict[str, Any] = {
    "whole": {"summary": "Everything, from now on", "value": {"url": _URL}},
    "choosy": {
        "summary": "A selection, in the morning",
        "value": {
            "url": _URL,
            "schedule": {"cron": "30 6 * * 1-5", "time_zone": "Europe/Berlin"},
            "filters": {
                "title_exclude": "trailer|shorts",
                "min_duration_s": 120,
                "from_date": "2026-01-01",
                "skip_live": True,
            },
            "language": "de",
            "model": "base",
            "max_items": 20,
            "keep_days": 90,
        },
    },
}
UPDATE_EXAMPLES: dict[str, Any] = {
    "pause": {"summary": "Pause", "value": {"paused": True}},
    "filters": {
        "summary": "Other filters",
        "value": {"filters": {"title_exclude": None, "newest": 50}},
    },
}
CHANNEL: dict[str, Any] = {
    "id": _ID,
    "url": "https://www.youtube.com/channel/UC5NOEUbkLheQcaaRldYW5GA",
    "title": "tagesschau",
    "kind": "site",
    "feed_url": "https://www.youtube.com/feeds/videos.xml?channel_id=UC5NOEUbkLheQcaaRldYW5GA",
    "paused": False,
    "listing": False,
    "listed_at": "2026-11-24T10:00:00Z",
    "next_listing_at": "2026-11-24T10:15:00Z",
    "error": None,
    "failures": 0,
    "history": {"listed": 900, "total": 10_000, "done_at": None},
    "items": {
        "new": 12,
        "queued": 800,
        "filtered": 85,
        "waiting": 1,
        "refused": 0,
        "missing": 2,
        "gone": 2,
        "erased": 0,
        "changed": 0,
    },
    "transcriptions": {"queued": 700, "running": 2, "completed": 97, "failed": 1, "canceled": 0},
    "progress": {"done": 97, "total": 812, "fraction": 0.1194},
    "schedule": {"every": "15m", "cron": None, "time_zone": None},
    "filters": {
        "title_include": None,
        "title_exclude": "trailer",
        "min_duration_s": None,
        "max_duration_s": None,
        "from_date": None,
        "newest": None,
        "skip_shorts": None,
        "skip_live": None,
    },
    "options": {
        "model": "base",
        "language": "de",
        "task": "transcribe",
        "initial_prompt": None,
        "hotwords": None,
        "temperature": None,
        "captions": "prefer",
    },
    "priority": "bulk",
    "max_items": None,
    "max_new": None,
    "keep_days": None,
    "callback_url": None,
    "callback_include": None,
    "digest": "never",
    "created_at": "2026-11-24T09:00:00Z",
    "updated_at": "2026-11-24T10:00:00Z",
    "channel_url": _PATH,
    "items_url": f"{_PATH}/items",
}
PAGE = {"items": [CHANNEL], "next_cursor": None, "next_url": None}
ITEM: dict[str, Any] = {
    "media_id": "youtube-dQw4w9WgXcQ",
    "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
    "title": "Rick Astley - Never Gonna Give You Up",
    "published_at": "2009-10-25T06:57:33Z",
    "duration_s": 212.0,
    "is_short": False,
    "live": None,
    "state": "queued",
    "reason": None,
    "transcription": {
        "id": EXAMPLE_ID,
        "status": "completed",
        "status_url": EXAMPLE_PATH,
        "result_url": f"{EXAMPLE_PATH}/result",
    },
    "changed_at": None,
    "change": None,
    "first_seen_at": "2026-11-24T09:00:03Z",
    "queued_at": "2026-11-24T09:00:03Z",
}
ITEMS = {"items": [ITEM], "next_cursor": None, "next_url": None}

_LISTED = {
    name: ITEM[name]
    for name in ("media_id", "url", "title", "published_at", "duration_s", "is_short", "live")
}
_INCLUDED = _LISTED | {"state": "new", "reason": None}
_EXCLUDED = _LISTED | {"duration_s": 31.0, "state": "filtered", "reason": "too_short"}
DRY_RUN = {
    "url": CHANNEL["url"],
    "title": "tagesschau",
    "kind": "site",
    "total": 10_000,
    "is_complete": False,
    "included": [_INCLUDED],
    "excluded": [_EXCLUDED],
    "whole": False,
    "taken": [_INCLUDED],
    "left_out": [_EXCLUDED],
}

CHANNEL_NOT_FOUND = problem_response(
    404, ("channel_not_found", "There is no such channel.", "Unknown id, or another caller's")
)
CHANNEL_BUSY = problem_response(
    409,
    (
        "channel_busy",
        "This channel is being removed with its transcriptions. Add it again in a minute.",
        "It is being removed",
    ),
)
_OPTION_ERRORS = (
    UNKNOWN_MODEL,
    UNKNOWN_LANGUAGE,
    (
        "invalid_option",
        "'soon' is not an interval between 1m and 366d. Write a number and its unit: 15m, 6h or "
        "1d.",
        "A schedule, filter or option is wrong",
    ),
    PRIVATE_ADDRESS,
    UNKNOWN_FIELD,
)
UPDATE_ERRORS = problem_response(
    422,
    (*INVALID_URL[:2], "The callback URL is not valid"),
    *_OPTION_ERRORS,
)
_LINK_ERRORS = (
    INVALID_URL,
    (
        "single_media",
        "This is a single video, not a channel: request a transcription of it.",
        "The link is a single video",
    ),
    (
        "unsupported_site",
        "This YouTube page is not a channel or playlist. Give a link such as "
        "https://www.youtube.com/@name or https://www.youtube.com/playlist?list=<id>.",
        "The page is not a channel or playlist",
    ),
    *_OPTION_ERRORS,
)
CREATE_ERRORS = problem_response(422, *_LINK_ERRORS)
DRY_RUN_ERRORS = problem_response(
    422,
    *_LINK_ERRORS,
    (
        "media_not_found",
        "The server answered 404: there is nothing at this link. Check it.",
        "Nothing at this link",
    ),
    (
        "source_blocked",
        "The server answered 403: it refuses this machine for now. Try again later.",
        "The site refuses",
    ),
    (
        "source_unavailable",
        "The server answered 503: it has a problem. Try again later.",
        "The site does not answer",
    ),
)
