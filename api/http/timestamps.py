"""A time that a client names."""

import re
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def _written_out(value: object) -> object:
    """Numbers are times to pydantic, too: seconds since 1970, or milliseconds if they are large."""
    if isinstance(value, bool | int | float) or (isinstance(value, str) and not _DATE.match(value)):
        raise ValueError("write a time as 2026-11-24T10:00:00Z, with its zone")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
"""RFC 3339, with a zone."""
