"""Examples of requests and responses for the OpenAPI document."""

from typing import Any

EXAMPLE_ID = "youtube-dQw4w9WgXcQ.k3zt5mxnq7ka2c6vpo4wy2jdhe"
EXAMPLE_PATH = f"/api/v1/transcriptions/{EXAMPLE_ID}"

ACCEPTED = {
    "id": EXAMPLE_ID,
    "request_id": "0198f3f2-9a43-7c1e-8f5d-3b0f6a1f2d11",
    "status": "queued",
    "status_url": EXAMPLE_PATH,
    "result_url": f"{EXAMPLE_PATH}/result",
    "events_url": f"{EXAMPLE_PATH}/events",
    "created_at": "2026-11-24T10:00:00Z",
}


PROVENANCE = {
    "source": "asr",
    "engine": "faster-whisper",
    "engine_version": "1.2.1",
    "model": "base",
    "model_revision": "d47a3b2e" * 8,
    "device": "cpu",
    "compute_type": "int8",
    "audio_sha256": "9f86d081" * 8,
    "created_at": "2026-11-24T10:01:00Z",
    "captions": {
        "reason": "The captions in the spoken language are automatic.",
        "kind": None,
        "track": None,
        "language": None,
        "spoken_language": "en",
    },
}


def status_example(**changes: Any) -> dict[str, Any]:
    """Return the status of a running transcription with these changes."""
    return {
        "id": EXAMPLE_ID,
        "status": "running",
        "stage": "transcription",
        "progress": {
            "done": 93.4,
            "total": 212.1,
            "unit": "seconds",
            "fraction": 0.44,
            "eta_s": 24.1,
        },
        "queue_position": None,
        "attempt": 1,
        "max_attempts": 4,
        "next_attempt_at": None,
        "waiting_for": None,
        "error": None,
        "priority": "interactive",
        "media": {
            "id": "youtube-dQw4w9WgXcQ",
            "kind": "site",
            "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
            "title": "Rick Astley - Never Gonna Give You Up (Official Video)",
            "channel": "Rick Astley",
            "channel_id": "UCuAXFkgsw1L7xaCfnd5JJOw",
            "upload_date": "2009-10-25",
            "duration_s": 212.0,
            "language": "en",
            "thumbnail_url": "https://i.ytimg.com/vi/dQw4w9WgXcQ/hqdefault.jpg",
            "webpage_url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        },
        "options": {"model": "base", "task": "transcribe"},
        "language": None,
        "duration_s": None,
        "word_count": None,
        "created_at": "2026-11-24T10:00:00Z",
        "updated_at": "2026-11-24T10:00:21Z",
        "completed_at": None,
        "metadata": {"ticket": 4711},
        "pinned": False,
        "keep": False,
        "provenance": None,
        "status_url": EXAMPLE_PATH,
        "result_url": f"{EXAMPLE_PATH}/result",
        "events_url": f"{EXAMPLE_PATH}/events",
        "audio_url": f"{EXAMPLE_PATH}/audio",
    } | changes


CREATE_EXAMPLES: dict[str, Any] = {
    "shortest": {
        "summary": "A link",
        "value": {"url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ"},
    },
    "everything": {
        "summary": "Every field",
        "value": {
            "url": "https://media.example.org/episodes/12.mp3",
            "language": "de",
            "model": "small",
            "task": "translate",
            "initial_prompt": "A talk on CTranslate2 and Dagster.",
            "hotwords": "Kubernetes DuckLake",
            "captions": "never",
            "priority": "bulk",
            "metadata": {"ticket": 4711},
            "pinned": True,
        },
    },
}

STATUS_EXAMPLES: dict[str, Any] = {
    "running": {"summary": "Being transcribed", "value": status_example()},
    "completed": {
        "summary": "Completed",
        "value": status_example(
            status="completed",
            stage=None,
            progress=None,
            language="en",
            duration_s=212.1,
            word_count=404,
            completed_at="2026-11-24T10:01:02Z",
            provenance=PROVENANCE,
        ),
    },
    "failed": {
        "summary": "Failed",
        "value": status_example(
            status="failed",
            stage="audio_download",
            progress=None,
            error={"code": "media_private", "message": "The video is private."},
        ),
    },
}

BATCH_EXAMPLE: dict[str, Any] = {
    "items": [
        {"url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ", "priority": "bulk"},
        {"url": "ftp://example.org/talk.mp3"},
    ]
}
BATCHED: dict[str, Any] = {
    "accepted": 1,
    "refused": 1,
    "items": [
        {"index": 0, "status": 202, "transcription": ACCEPTED, "problem": None},
        {
            "index": 1,
            "status": 422,
            "transcription": None,
            "problem": {
                "type": "urn:ytcaption:problem:invalid_url",
                "title": "Unprocessable Entity",
                "status": 422,
                "detail": "Links of the kind ftp: are not opened. Give an http or https URL.",
                "code": "invalid_url",
                "request_id": "5f0c5b7c9a3e4d6f8a1b2c3d4e5f6a7b",
            },
        },
    ],
}
_CURSOR = "WyIyMDI2LTExLTI0VDEwOjAwOjAwKzAwOjAwIiwgInlvdXR1YmUtLi4uIl0"
PAGE_EXAMPLE: dict[str, Any] = {
    "items": [status_example()],
    "next_cursor": _CURSOR,
    "next_url": f"/api/v1/transcriptions?status=running&limit=1&cursor={_CURSOR}",
}
