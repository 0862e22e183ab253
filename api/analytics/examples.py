"""Examples."""

ANALYTICS_QUERY = {
    "sql": "select language, count(*) as media from library where month >= $since::date group by 1",
    "parameters": {"since": "2026-01-01"},
}


ANALYTICS_VIEWS = {
    "views": [
        {
            "name": "growth",
            "summary": "What was made, month by month.",
            "parameters": [
                {
                    "name": "since",
                    "kind": "date",
                    "description": "First day on which it was made.",
                    "default": None,
                    "is_required": False,
                }
            ],
            "columns": [
                {
                    "name": "audio_h",
                    "type": "DOUBLE",
                    "description": "Length of their audio.",
                    "unit": "h",
                }
            ],
            "url": "/api/v1/analytics/growth",
        }
    ]
}


ANALYTICS_ROWS = {
    "view": "language_mix",
    "columns": [
        {"name": "month", "type": "DATE"},
        {"name": "language", "type": "VARCHAR"},
        {"name": "media", "type": "BIGINT"},
        {"name": "audio_h", "type": "DOUBLE"},
        {"name": "share", "type": "DOUBLE"},
    ],
    "rows": [{"month": "2026-11-01", "language": "en", "media": 12, "audio_h": 4.2, "share": 0.93}],
    "is_truncated": False,
}
