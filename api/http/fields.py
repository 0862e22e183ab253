"""Field types and checks that request schemas share, and how responses carry old field names."""

import math
import re
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    computed_field,
    model_validator,
)

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class StorableBody(BaseModel):
    """A request body whose text Postgres can store; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="after")
    def _is_storable(self) -> Self:
        refuse_unstorable(self.model_dump())
        return self


def refuse_unstorable(value: object) -> None:
    """Check that Postgres, UTF-8 and JSON can hold a value and everything inside it.

    Raises:
        ValueError: it contains a NUL character, an unpaired surrogate, NaN or an infinity.
    """
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if "\x00" in item:
                raise ValueError("a text contains a NUL character")
            if any("\ud800" <= char <= "\udfff" for char in item):
                raise ValueError(
                    "a text contains an unpaired surrogate, which is not a valid character"
                )
        elif isinstance(item, float) and not math.isfinite(item):
            raise ValueError("a number is not finite")
        elif isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _storable(text: str) -> str:
    refuse_unstorable(text)
    return text


def _rfc_3339(value: object) -> object:
    """Refuse numbers, which pydantic would read as seconds or milliseconds since 1970."""
    if isinstance(value, bool | int | float) or (isinstance(value, str) and not _DATE.match(value)):
        raise ValueError("write a time as 2026-11-24T10:00:00Z, with its zone")
    return value


Text = Annotated[str, AfterValidator(_storable)]
"""A text that Postgres can store."""

Timestamp = Annotated[AwareDatetime, BeforeValidator(_rfc_3339)]
"""RFC 3339, with a zone."""


def old_name(getter: Any) -> Any:
    """Mark a property of a response as a field's old name, which is delivered for one release."""
    # Each property has a decorator of its own: one keeps the first docstring that it sees.
    return computed_field(json_schema_extra={"deprecated": True}, repr=False)(getter)
