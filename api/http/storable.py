"""Bodies with nothing in them that Postgres cannot hold."""

import math
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class StorableBody(BaseModel):
    """What an operator or an owner asks for; fields that are not listed are refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="after")
    def _is_storable(self) -> Self:
        refuse_unstorable(self.model_dump())
        return self


def refuse_unstorable(value: object) -> None:
    """Text that Postgres and UTF-8 can hold, and numbers that JSON can.

    Raises:
        ValueError: a NUL character, half a surrogate pair, NaN or an infinity, anywhere inside.
    """
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if "\x00" in item:
                raise ValueError("a text holds a NUL character")
            if any("\ud800" <= char <= "\udfff" for char in item):
                raise ValueError("a text holds half a surrogate pair, which is no character")
        elif isinstance(item, float) and not math.isfinite(item):
            raise ValueError("a number is not finite")
        elif isinstance(item, dict):
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
