"""Everything that a user can read of an installation, and how two such contents differ."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import httpx

VOLATILE = {"last_used_at", "next_listing_at", "next_poll_at", "updated_at"}
"""Fields that change while nothing happens."""

FORMATS = ("txt", "srt", "vtt", "json")
TABLES = ("transcripts", "segments", "words", "media", "caption_accuracy")
"""Of the lake."""

INTENDED = {
    r"/transcriptions/[^/]+/view/media/title": "a channel's title of an item before the file's",
    r"/transcriptions/[^/]+/view/media/webpage_url": "the link of the request while none is known",
    r"/lake/media/[^/]+/title": "the title of an upload, or of a channel's item, is its owner's",
}
"""Places that differ from the previous version on purpose, and why. Empty it after a release."""

SEARCHES = ("dinosaurs", "weather", '"ask not what your country"', "countries")

Content = dict[str, Any]


class Failed(Exception):
    """A step of the rehearsal has failed."""


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
                hit["transcription_id"] for hit in _pages(client, "/api/v1/search", q=words)
            )
            for words in SEARCHES
        },
        "lake": {table: _rows(client, table) for table in TABLES},
    }


def differences(
    before: Any, after: Any, *, intended: Iterable[str] = (), place: str = ""
) -> Iterator[str]:
    """Yield where something of `before` is missing in `after`, or differs there.

    A later version may say more: fields and items that only `after` has are no difference.

    Args:
        intended: patterns of the places that may differ, such as those of `INTENDED`.
    """
    if any(re.fullmatch(pattern, place) for pattern in intended):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for name, value in before.items():
            if name in VOLATILE:
                continue
            if name not in after:
                yield f"{place}/{name} is missing"
            else:
                yield from differences(
                    value, after[name], intended=intended, place=f"{place}/{name}"
                )
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, intended=intended, place=f"{place}/{number}")
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


def _rows(client: httpx.Client, table: str) -> Content:
    """Return the rows of a table, by the first column and their number among those with the same:
    rows of other transcriptions may be added."""
    query = {"sql": f"select * from {table} order by all"}
    rows = checked(client.post("/api/v1/analytics/query", json=query)).json()["rows"]
    numbers: Counter[str] = Counter()
    found = {}
    for row in rows:
        key = str(next(iter(row.values())))
        found[f"{key}#{numbers[key]}"] = row
        numbers[key] += 1
    return found


def _pages(client: httpx.Client, path: str, **query: Any) -> Iterator[dict[str, Any]]:
    url: str | None = path
    while url is not None:
        page = _json(client, url, **query)
        yield from page["items"]
        url, query = page.get("next_url"), {}


def _json(client: httpx.Client, path: str, **query: Any) -> Any:
    return _get(client, path, **query).json()


def _get(client: httpx.Client, path: str, **query: Any) -> httpx.Response:
    return checked(client.get(path, params=query or None))


def checked(response: httpx.Response) -> httpx.Response:
    """Return a response that is no error.

    Raises:
        Failed: it is one.
    """
    if response.is_error:
        request = f"{response.request.method} {response.request.url}"
        raise Failed(f"{request}: {response.status_code} {response.text[:500]}")
    return response
