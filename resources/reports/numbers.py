"""The numbers of a report."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class ReportNumbers:
    """What a report tells; each list holds rows of the view of its name.

    Attributes:
        failures: `code` and `failed` of transcriptions that failed for good in `FAILURE_DAYS`.
        terms: words that are said in two media or more.
    """

    made_at: datetime
    growth: list[dict[str, Any]]
    languages: list[dict[str, Any]]
    delays: list[dict[str, Any]]
    speeds: list[dict[str, Any]]
    terms: list[dict[str, Any]]
    failures: list[dict[str, Any]]
