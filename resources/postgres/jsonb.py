"""Untrusted text and JSON in the form that Postgres can store."""

from collections.abc import Mapping
from typing import Any


def clean(value: Any) -> Any:
    """Return a JSON value without what Postgres refuses: NUL, and halves of surrogate pairs."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value
