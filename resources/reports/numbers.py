"""The numbers of a report."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class ReportNumbers:
    """The numbers of a report; each list holds rows of the corresponding view.

    Attributes:
        failures: `code` and `failed` of transcriptions that failed permanently in `FAILURE_DAYS`.
        terms: words that occur in two or more media.
    """

    made_at: datetime
    growth: list[dict[str, Any]]
    languages: list[dict[str, Any]]
    delays: list[dict[str, Any]]
    speeds: list[dict[str, Any]]
    terms: list[dict[str, Any]]
    failures: list[dict[str, Any]]
