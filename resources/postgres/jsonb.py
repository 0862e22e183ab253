"""Text and JSON of strangers as Postgres can hold them."""

from collections.abc import Mapping
from typing import Any


def clean(value: Any) -> Any:
    """A stranger's JSON value as Postgres can hold it: no NUL, no half of a surrogate pair."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value
