"""The library's reports, for operators."""

from datetime import date
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from api.dependencies import Admin, ObjectStoreDep
from api.responses import REPORT_ERRORS, STORE_UNAVAILABLE
from resources.reports.page import REPORT_POLICY
from resources.reports.report import read_report, report_days

router = APIRouter(prefix="/api/v1/admin", tags=["operation"])


class ReportRead(BaseModel):
    """One report."""

    day: date
    url: str


class ReportsRead(BaseModel):
    """Those that are kept, the latest first."""

    reports: list[ReportRead]


_EXAMPLE = {"reports": [{"day": "2026-11-26", "url": "/api/v1/admin/reports/2026-11-26"}]}


@router.get(
    "/reports",
    operation_id="listReports",
    summary="The library's reports",
    responses={200: {"content": {"application/json": {"example": _EXAMPLE}}}} | STORE_UNAVAILABLE,
)
def list_reports(caller: Admin, objects: ObjectStoreDep, response: Response) -> ReportsRead:
    """One a day is made; `ytcaption report` makes one now."""
    response.headers["Cache-Control"] = "no-store"
    return ReportsRead(
        reports=[
            ReportRead(day=day, url=f"/api/v1/admin/reports/{day}") for day in report_days(objects)
        ]
    )


@router.get(
    "/reports/{day}",
    operation_id="readReport",
    summary="One report, as a page",
    response_class=Response,
    responses={
        200: {
            "description": "Growth, languages, delays, failures, what is said most.",
            "content": {"text/html": {"schema": {"type": "string"}}},
        },
        **REPORT_ERRORS,
        **STORE_UNAVAILABLE,
    },
)
def read_one_report(
    day: Annotated[date | Literal["latest"], Path(description="Its day, or `latest`.")],
    caller: Admin,
    objects: ObjectStoreDep,
) -> Response:
    """HTML that needs nothing else, and runs nothing."""
    return Response(
        read_report(objects, None if day == "latest" else day),
        media_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": REPORT_POLICY, "Cache-Control": "no-store"},
    )
