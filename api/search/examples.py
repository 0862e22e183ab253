"""Examples."""

SEARCH_EXAMPLE = {
    "items": [
        {
            "transcription_id": "youtube-dQw4w9WgXcQ.k3zt5mxnq7ka2c6vpo4wy2jdhe",
            "media_id": "youtube-dQw4w9WgXcQ",
            "title": "Ask not",
            "channel": "JFK Library",
            "channel_id": "UC3SMWL3Q1SjLMZ5c0Ygl0iA",
            "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
            "published_on": "2026-11-24",
            "language": "en",
            "source": "asr",
            "duration_s": 11.0,
            "score": 0.62,
            "hit_count": 1,
            "hits": [
                {
                    "start_s": 0.0,
                    "end_s": 7.6,
                    "text": "And so, my fellow Americans, ask not",
                    "index": 0,
                    "marks": [[29, 32]],
                    "score": 0.62,
                    "before": None,
                    "after": {"start_s": 7.6, "end_s": 11.0, "text": "what your country can do"},
                    "page_url": "/#youtube-dQw4w9WgXcQ.k3zt5mxnq7ka2c6vpo4wy2jdhe&t=0",
                    "media_url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=0s",
                }
            ],
            "status_url": "/api/v1/transcriptions/youtube-dQw4w9WgXcQ.k3zt5mxnq7ka2c6vpo4wy2jdhe",
            "result_url": "/api/v1/transcriptions/youtube-dQw4w9WgXcQ.k3zt5mxnq7ka2c6vpo4wy2jdhe"
            "/result",
        }
    ],
    "media_count": 1,
    "hit_count": 1,
    "is_complete": True,
    "notes": [],
    "facets": {
        "channels": [
            {
                "channel": "JFK Library",
                "channel_id": "UC3SMWL3Q1SjLMZ5c0Ygl0iA",
                "media_count": 1,
                "hit_count": 1,
            }
        ],
        "months": [{"month": "2026-11", "media_count": 1, "hit_count": 1}],
    },
    "next_cursor": None,
    "next_url": None,
}
