"""The base class of a group of settings."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class SettingsGroup(BaseModel):
    """Settings of one subject. A field `x` is set by the variable `YTCAPTION_X`."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def default(cls) -> Self:
        """Return the group with the defaults of the code."""
        return cls.model_validate({})


def split_list(value: Any) -> Any:
    """Return the parts of a comma-separated text as a tuple; anything else as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value
