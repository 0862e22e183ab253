"""Validation errors as problems that say which fields or parameters are wrong, and why."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from api.http.errors import HTTP_CODES, HTTP_DETAILS, problem

MAX_FIELDS = 20
"""Wrong fields that a response lists."""

_FIELDS_IN_DETAIL = 3


def validation_problem(request: Request, error: RequestValidationError) -> Response:
    """Return a problem that locates each wrong field; it repeats no value of the request."""
    items = error.errors()
    if any(item["type"] == "json_invalid" and isinstance(item["loc"][-1], int) for item in items):
        return problem(400, HTTP_CODES[400], HTTP_DETAILS[400])
    if not _is_json(request) and any(_is_no_object(item) for item in items):
        return problem(415, HTTP_CODES[415], "Send the body as application/json.")
    fields = [field_error(item) for item in items[:MAX_FIELDS]]
    return problem(422, HTTP_CODES[422], fields_detail(fields), errors=fields)


def _is_no_object(item: Mapping[str, Any]) -> bool:
    return tuple(item["loc"]) == ("body",) and item["type"] != "value_error"


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )


def fields_detail(fields: Sequence[Mapping[str, Any]]) -> str:
    """Return a sentence that names the first three wrong `FieldError`s."""
    wrong = []
    for field in fields[:_FIELDS_IN_DETAIL]:
        location = field["parameter"] or field["pointer"]
        wrong.append(field["detail"] if location == "#" else f"{location}: {field['detail']}")
    more = len(fields) - len(wrong)
    return f"The request is not valid. {'; '.join(wrong)}{f'; and {more} more' if more else ''}."


def field_error(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pydantic error as a `FieldError`; its `loc` starts with `body` or `query`."""
    section, *path = item["loc"]
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "too_long" and isinstance(item.get("input"), str):
        # pydantic counts the validated value, and calls everything with a length a list of items.
        message = f"Text should have at most {item['ctx']['max_length']} characters"
    return {
        "detail": f"{message[:1].upper()}{message[1:300]}",
        "code": str(item["type"]),
        "pointer": _pointer(path) if section == "body" else None,
        "parameter": None if section == "body" else f"{section} {'.'.join(map(_printable, path))}",
    }


def _pointer(path: Sequence[object]) -> str:
    """Return a JSON pointer as a URI fragment (RFC 6901 section 6)."""
    steps = (_printable(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "#" + "".join(f"/{step}" for step in steps)


def _printable(step: object) -> str:
    text = str(step)[:60]
    return "".join(char if char.isprintable() and char.isascii() else "?" for char in text)
