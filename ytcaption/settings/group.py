"""The base class of a group of settings."""

import ipaddress
import re
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


def check_networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the networks.

    Raises:
        ValueError: one is not a CIDR.
    """
    for network in value:
        ipaddress.ip_network(network)
    return value


def check_origins(value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the origins.

    Raises:
        ValueError: one is not a scheme with a host, or has a path.
    """
    for origin in value:
        if not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+", origin):
            raise ValueError("write https://example.org:8100, without a path")
    return value
