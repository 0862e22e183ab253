"""Examples."""

PAUSED = {
    "paused": [
        {
            "part": "download",
            "reason": "Asked to.",
            "paused_by": "key:mfrggzdfmztwq2lk",
            "paused_at": "2026-11-24T10:00:00Z",
        }
    ],
    "applied": True,
}


BREAKERS = {
    "breakers": [
        {
            "site": "youtube.com",
            "state": "open",
            "failures": 5,
            "code": "source_blocked",
            "opened_at": "2026-11-24T10:00:00Z",
            "probe_at": "2026-11-24T10:01:00Z",
            "reason": "",
            "opened_by": None,
            "waiting": 3,
        }
    ]
}


OVERVIEW = {
    "counts": {"queued": 3, "running": 1, "completed": 812, "failed": 4, "canceled": 0},
    "oldest_waiting_s": 12.5,
    "running": [
        {
            "id": "youtube-dQw4w9WgXcQ.k3zt5mxnq7ka2c6vpo4wy2jdhe",
            "title": "Never Gonna Give You Up",
            "stage": "transcription",
            "progress_done": 61.0,
            "progress_total": 212.0,
            "attempt": 1,
            "run_id": "3f0d8f4e-8a43-4b6c-9a55-5d3f1c2b7a10",
            "age_s": 21.4,
            "silent_s": 0.4,
        }
    ],
    "failures": [
        {
            "code": "media_private",
            "number": 4,
            "last_at": "2026-11-24T09:58:00Z",
            "last_message": "The video is private.",
        }
    ],
    "pauses": [],
    "breakers": [],
    "resting": [
        {
            "site": "youtube.com",
            "code": "pause",
            "message": "There is a pause between downloads from youtube.com: bulk work goes on at "
            "2026-11-24 10:00:12 UTC.",
            "until": "2026-11-24T10:00:12Z",
            "waiting": 211,
        }
    ],
    "media_count": 820,
    "audio_bytes": 4_100_000_000,
    "disk_free_bytes": 90_000_000_000,
    "disk_total_bytes": 250_000_000_000,
}
