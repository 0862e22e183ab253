"""Reports about the library, for operators."""

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from api.dependencies import Admin, ObjectStoreDep
from api.http.errors import SERVER_DETAIL
from api.responses import NO_DATABASE, NO_STORE, json_example, problem_response
from resources.reports.page import REPORT_POLICY
from resources.reports.report import read_report, report_days
from ytcaption.domain.errors import ObjectStoreUnavailable

router = APIRouter(prefix="/api/v1/admin", tags=["operation"])


class Report(BaseModel):
    """A report."""

    day: date
    url: str


class ReportsResponse(BaseModel):
    """All stored reports, the latest first."""

    reports: list[Report]


_EXAMPLE = {"reports": [{"day": "2026-11-26", "url": "/api/v1/admin/reports/2026-11-26"}]}

_STORE_UNAVAILABLE = problem_response(
    503,
    (
        ObjectStoreUnavailable.code,
        SERVER_DETAIL[ObjectStoreUnavailable],
        "The object store does not answer",
    ),
    NO_DATABASE,
    retry=True,
)
_REPORT_ERRORS = problem_response(
    404,
    (
        "report_not_found",
        "There is no such report. One is made each night; `ytcaption report` makes one now.",
        "No report of that day",
    ),
) | problem_response(
    422,
    (
        "invalid_request",
        "The request is not valid. path day: Input should be a valid date.",
        "Not a day",
    ),
)


@router.get(
    "/reports",
    operation_id="listReports",
    summary="List reports",
    responses=json_example(200, _EXAMPLE) | _STORE_UNAVAILABLE,
)
def list_reports(caller: Admin, objects: ObjectStoreDep, response: Response) -> ReportsResponse:
    """Return the stored reports. One is made each day; `ytcaption report` makes one now."""
    response.headers.update(NO_STORE)
    return ReportsResponse(
        reports=[
            Report(day=day, url=f"/api/v1/admin/reports/{day}") for day in report_days(objects)
        ]
    )


@router.get(
    "/reports/{day}",
    operation_id="readReport",
    summary="Get a report as a web page",
    response_class=Response,
    responses={
        200: {
            "description": "Growth, languages, delays, failures, most frequent terms.",
            "content": {"text/html": {"schema": {"type": "string"}}},
        },
        **_REPORT_ERRORS,
        **_STORE_UNAVAILABLE,
    },
)
def read_one_report(
    day: Annotated[date | Literal["latest"], Path(description="The day, or `latest`.")],
    caller: Admin,
    objects: ObjectStoreDep,
) -> Response:
    """Return HTML that loads nothing and runs no scripts."""
    return Response(
        read_report(objects, None if day == "latest" else day),
        media_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": REPORT_POLICY, "Cache-Control": "no-store"},
    )
