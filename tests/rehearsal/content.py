"""Everything that a user can read of an installation, and how two such contents differ."""

import hashlib
from collections.abc import Iterator
from typing import Any

import httpx

VOLATILE = {"last_used_at", "next_listing_at", "next_poll_at", "updated_at"}
"""Fields that change while nothing happens."""

FORMATS = ("txt", "srt", "vtt", "json")
QUERIES = {
    "transcripts": "select id, media_id, language, text from transcripts order by id",
    "segments": "select * from segments order by all",
    "words": "select * from words order by all",
    "media": "select * from media order by all",
}
SEARCHES = ("dinosaurs", "weather", '"ask not what your country"', "countries")

Content = dict[str, Any]


def read_content(client: httpx.Client) -> Content:
    """Return all that an admin can read by the API, by kind and id."""
    return {
        "transcriptions": {
            each["id"]: _transcription(client, each["id"])
            for each in _pages(client, "/api/v1/transcriptions")
        },
        "channels": {
            each["id"]: {**each, "items": _items(client, each["id"])}
            for each in _pages(client, "/api/v1/channels")
        },
        "webhooks": {
            each["id"]: {**each, "secret": _json(client, f"/api/v1/webhooks/{each['id']}/secret")}
            for each in _json(client, "/api/v1/webhooks")["webhooks"]
        },
        "keys": {each["id"]: each for each in _json(client, "/api/v1/admin/keys")["keys"]},
        "searches": {
            words: sorted(
                hit["transcription_id"]
                for hit in _pages(client, "/api/v1/search", q=words, limit=100)
            )
            for words in SEARCHES
        },
        "lake": {name: _rows(client, sql) for name, sql in QUERIES.items()},
    }


def differences(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """Yield where something of `before` is missing in `after`, or differs there.

    A later version may say more: fields and items that only `after` has are no difference.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            if name in VOLATILE:
                continue
            if name not in after:
                yield f"{place}/{name} is missing"
            else:
                yield from differences(value, after[name], f"{place}/{name}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, f"{place}/{number}")
    elif before != after:
        yield f"{place} was {str(before)[:200]!r} and is {str(after)[:200]!r}"


def _transcription(client: httpx.Client, id: str) -> Content:
    path = f"/api/v1/transcriptions/{id}"
    found = {"view": _json(client, path), "history": _history(client, id)}
    if found["view"]["status"] == "completed":
        found["results"] = {
            format: _get(client, f"{path}/result", format=format).text for format in FORMATS
        }
        audio = _get(client, f"{path}/audio").content
        found["audio"] = hashlib.sha256(audio).hexdigest()
    return found


def _history(client: httpx.Client, id: str) -> Content:
    events = _json(client, f"/api/v1/transcriptions/{id}/history", limit=200)["items"]
    return {event["event_id"]: event for event in events}


def _items(client: httpx.Client, channel: str) -> Content:
    items = _pages(client, f"/api/v1/channels/{channel}/items")
    return {each["media_id"]: each for each in items}


def _rows(client: httpx.Client, sql: str) -> Content:
    """Return the rows of a query; which rows are added later does not matter."""
    response = client.post("/api/v1/analytics/query", json={"sql": sql})
    response.raise_for_status()
    rows = response.json()["rows"]
    return {hashlib.sha256(repr(row).encode()).hexdigest(): row for row in rows}


def _pages(client: httpx.Client, path: str, **query: Any) -> Iterator[dict[str, Any]]:
    url: str | None = path
    while url is not None:
        page = _json(client, url, **query)
        yield from page["items"]
        url, query = page.get("next_url"), {}


def _json(client: httpx.Client, path: str, **query: Any) -> Any:
    return _get(client, path, **query).json()


def _get(client: httpx.Client, path: str, **query: Any) -> httpx.Response:
    response = client.get(path, params=query or None)
    response.raise_for_status()
    return response
