"""Reports: made from the lake and the events, stored by day."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from resources.lake.catalog import TranscriptCatalog
from resources.object_store.store import ObjectStore
from resources.postgres.connection import Postgres
from resources.reports.numbers import ReportNumbers
from resources.reports.page import report_page
from resources.reports.plots import Plot, report_plots
from ytcaption.domain.errors import ReportNotFound

FAILURE_DAYS = 30
DELAY_DAYS = 60
TERMS = 20

TIMEOUT_S = 600.0
"""Time limit of one query; no user waits for it."""

_DAY = re.compile(r"reports/(\d{4}-\d\d-\d\d)\.html")
_FAILURES = """
    select data ->> 'code' as code, count(*) as failed from ytcaption.event
    where event_type = 'TranscriptionFailed'
        and "timestamp" > now() - make_interval(days => %(days)s)
    group by 1 order by failed desc, code
"""


@dataclass(frozen=True)
class LibraryReport:
    """One report.

    Attributes:
        plots: in the order of the page.
        page: self-contained HTML.
    """

    numbers: ReportNumbers
    plots: tuple[Plot, ...]
    page: bytes


def make_report(catalog: TranscriptCatalog, postgres: Postgres) -> LibraryReport:
    """Return the report of the library's present state.

    Raises:
        LakeUnavailable, DatabaseUnavailable.
        QueryError: a query takes too long.
    """
    numbers = _numbers(catalog, postgres)
    plots = report_plots(numbers)
    return LibraryReport(numbers, plots, report_page(numbers, plots))


def store_report(objects: ObjectStore, report: LibraryReport) -> str:
    """Store the report as that of its day; return its key."""
    key = _key(report.numbers.made_at.date())
    objects.write_bytes(key, report.page)
    return key


def report_days(objects: ObjectStore) -> list[date]:
    """Return the days that have a report, the latest first."""
    return sorted((day for _, day in _stored(objects)), reverse=True)


def read_report(objects: ObjectStore, day: date | None) -> bytes:
    """Return the report of one day, or the latest.

    Raises:
        ReportNotFound: there is none.
    """
    days = report_days(objects)
    if not days or (day is not None and day not in days):
        raise ReportNotFound(
            "There is no such report. One is made each night; `ytcaption report` makes one now."
        )
    return objects.read_bytes(_key(day or days[0]))


def old_reports(objects: ObjectStore, days: float) -> list[str]:
    """Return the keys of reports older than `days`."""
    oldest = (datetime.now(UTC) - timedelta(days=days)).date()
    return [key for key, day in _stored(objects) if day < oldest]


def delete_reports(objects: ObjectStore) -> None:
    """Delete all reports, since they may contain text that is being erased."""
    for key, _ in list(_stored(objects)):
        objects.delete(key)


def _stored(objects: ObjectStore) -> Iterator[tuple[str, date]]:
    for key in objects.list("reports"):
        if match := _DAY.fullmatch(key):
            with suppress(ValueError):
                yield key, date.fromisoformat(match[1])


def _key(day: date) -> str:
    return f"reports/{day.isoformat()}.html"


def _numbers(catalog: TranscriptCatalog, postgres: Postgres) -> ReportNumbers:
    made_at = datetime.now(UTC)
    since = (made_at - timedelta(days=DELAY_DAYS)).date().isoformat()

    def rows(view: str, limit: int | None = None, **arguments: str) -> list[dict[str, Any]]:
        result = catalog.view(view, arguments, limit=limit, timeout_s=TIMEOUT_S)
        return result.table.to_pylist()

    terms = rows("top_terms", limit=20 * TERMS, min_length="5")
    return ReportNumbers(
        made_at=made_at,
        growth=rows("growth"),
        languages=rows("language_mix"),
        delays=rows("processing_delay", since=since),
        speeds=rows("model_speed"),
        terms=[row for row in terms if row["media"] > 1][:TERMS],
        failures=postgres.rows(_FAILURES, {"days": FAILURE_DAYS}),
    )
