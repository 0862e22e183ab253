"""Options of requests, and how they are written into a query."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Literal, TypedDict

from ytcaption.client.deprecation import old_module_names
from ytcaption.domain.caption_choice import CaptionsPolicy
from ytcaption.domain.request import Priority, Task

PAGE = 200


class RequestOptions(TypedDict, total=False):
    """How media is transcribed; the server chooses what is left out.

    `callback_url`: receives a signed POST when it ends; `callback_include`: with the text if it is
    short; `pinned`: exempt from retention by age; `keep`: its old name.
    """

    language: str | None
    model: str | None
    task: Task
    initial_prompt: str | None
    hotwords: str | None
    temperature: float | None
    captions: CaptionsPolicy | None
    priority: Priority
    metadata: Mapping[str, Any] | None
    callback_url: str | None
    callback_include: Literal["result"] | None
    keep: bool | None
    pinned: bool | None


class ListFilter(TypedDict, total=False):
    """Which transcriptions a list holds; all filters must match.

    `status`: one or several; `channel`: an id or a whole name; `q`: a part of the title;
    `metadata`: at most five of its fields; times need a zone.
    """

    status: str | list[str]
    channel: str
    language: str
    created_after: datetime
    created_before: datetime
    metadata: Mapping[str, str | int | float | bool]
    q: str


class SearchOptions(TypedDict, total=False):
    """Filters of a search and the form of its response; the server chooses what is left out.

    `mode`: by words, by meaning, or by both; `channel`: an id, or a whole name; `published_from`,
    `published_to`: days, inclusive; `sort`: the best first, the newest or the oldest; `hits`: per
    media item.
    """

    mode: Literal["keyword", "semantic", "hybrid"] | None
    channel: str | None
    media: str | None
    language: str | None
    published_from: date | None
    published_to: date | None
    source: str | list[str] | None
    sort: Literal["relevance", "recency", "time"] | None
    hits: int | None


def search_parameters(text: str, options: SearchOptions) -> dict[str, Any]:
    """Return the query of a search."""
    params: dict[str, Any] = {"q": text} | dict(options)
    for name in ("from", "to"):
        if (day := params.pop(f"published_{name}", None)) is not None:
            params[name] = day.isoformat()
    return params


def list_parameters(filters: ListFilter) -> dict[str, Any]:
    """Return the query of a list."""
    params: dict[str, Any] = {"limit": PAGE} | dict(filters)
    metadata = filters.get("metadata") or {}
    params["metadata"] = [f"{name}:{_text(value)}" for name, value in metadata.items()]
    for name in ("created_after", "created_before"):
        if (at := params.get(name)) is not None:
            params[name] = at.astimezone(UTC).isoformat()
    return params


def upload_parameters(options: Mapping[str, Any], file_name: str) -> dict[str, Any]:
    """Return the query of an upload whose body is the file."""
    params = dict(options) | {"filename": file_name}
    if "metadata" in params:
        params["metadata"] = json.dumps(params["metadata"])
    return params


def _text(value: str | float | bool) -> str:
    return value if isinstance(value, str) else json.dumps(value)


__getattr__ = old_module_names(
    __name__, {"Asked": RequestOptions, "Wanted": ListFilter, "Sought": SearchOptions}
)
