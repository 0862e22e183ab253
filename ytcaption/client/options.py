"""What is asked for, and how it is written into a request."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Literal, TypedDict

from ytcaption.domain.caption_choice import CaptionsPolicy
from ytcaption.domain.request import Priority, Task

PAGE = 200


class Asked(TypedDict, total=False):
    """How a media is to be transcribed; what is left out is the server's to choose.

    `callback_url`: where the server tells of the end, by a signed POST; `callback_include`: with
    the text, where it is short.
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


class Wanted(TypedDict, total=False):
    """What a list is to hold; all of it must be so.

    `status`: one or several; `channel`: an id or a whole name; `q`: a part of the title;
    `metadata`: fields of it, at most five; times need a zone.
    """

    status: str | list[str]
    channel: str
    language: str
    created_after: datetime
    created_before: datetime
    metadata: Mapping[str, str | int | float | bool]
    q: str


class Sought(TypedDict, total=False):
    """What a search keeps to, and how its answer is to be; what is left out is the server's.

    `mode`: by words, by what they mean, or by both; `channel`: an id, or a whole name;
    `published_from`, `published_to`: days, both in; `sort`: the best first, the newest or the
    oldest; `hits`: shown of each media.
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


def search_parameters(text: str, sought: Sought) -> dict[str, Any]:
    """A search's query."""
    params: dict[str, Any] = {"q": text} | dict(sought)
    for name in ("from", "to"):
        if (day := params.pop(f"published_{name}", None)) is not None:
            params[name] = day.isoformat()
    return params


def list_parameters(wanted: Wanted) -> dict[str, Any]:
    """A list's query."""
    params: dict[str, Any] = {"limit": PAGE} | dict(wanted)
    metadata = wanted.get("metadata") or {}
    params["metadata"] = [f"{name}:{_text(value)}" for name, value in metadata.items()]
    for name in ("created_after", "created_before"):
        if (at := params.get(name)) is not None:
            params[name] = at.astimezone(UTC).isoformat()
    return params


def upload_parameters(asked: Mapping[str, Any], file_name: str) -> dict[str, Any]:
    """The query of a file that is the whole body."""
    params = dict(asked) | {"filename": file_name}
    if "metadata" in params:
        params["metadata"] = json.dumps(params["metadata"])
    return params


def _text(value: str | float | bool) -> str:
    return value if isinstance(value, str) else json.dumps(value)
