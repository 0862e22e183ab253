"""What operators do: look, have things done again, stop and go on, erase."""

from typing import Annotated

from fastapi import APIRouter, Body, Response

from api.admin.examples import BREAKERS, OVERVIEW, PAUSED
from api.admin.schemas import (
    AffectedRead,
    BreakerAsked,
    BreakerOpenAsked,
    BreakerRead,
    BreakersRead,
    OverviewRead,
    PauseAsked,
    PauseRead,
    PausesRead,
    PurgeAsked,
    PurgeRead,
    ResumeAsked,
    RetryAsked,
)
from api.dependencies import Admin, PostgresDep, SettingsDep
from api.responses import ADMIN_INVALID, BODY_ERRORS, DATABASE_UNAVAILABLE, SITE_INVALID
from api.transcriptions.action_responses import PURGE_UNAVAILABLE
from api.transcriptions.dependencies import ActionsDep, OperatingDep
from resources.admin.service import RetryFilter, overview, retry_all
from resources.maintenance.purge import PurgeFilter
from resources.sites.circuit_breaker import breakers, close_breaker, open_breaker, site_named

router = APIRouter(prefix="/api/v1/admin", tags=["operation"])

_IDS = ["youtube-dQw4w9WgXcQ.k3zt5mxnq7ka2c6vpo4wy2jdhe"]
_ERRORS = BODY_ERRORS | ADMIN_INVALID | DATABASE_UNAVAILABLE


@router.get(
    "/overview",
    operation_id="getOverview",
    summary="The queue at a glance",
    responses={200: {"content": {"application/json": {"example": OVERVIEW}}}}
    | DATABASE_UNAVAILABLE,
)
def read_overview(
    caller: Admin, settings: SettingsDep, postgres: PostgresDep, response: Response
) -> OverviewRead:
    """States, who waits longest, what runs, failures by cause, pauses, how much room is left."""
    response.headers["Cache-Control"] = "no-store"
    return OverviewRead.of(overview(postgres, settings.home))


@router.post(
    "/retry",
    operation_id="retryMany",
    summary="Have all that failed done again",
    responses={200: {"content": {"application/json": {"example": {"number": 1, "ids": _IDS}}}}}
    | _ERRORS,
)
def retry_many(
    asked: Annotated[
        RetryAsked,
        Body(openapi_examples={"code": {"value": {"code": "source_blocked"}}}),
    ],
    caller: Admin,
    postgres: PostgresDep,
) -> AffectedRead:
    """Queues everything that fits the filter for a new series of attempts."""
    chosen = RetryFilter(**asked.model_dump())
    return AffectedRead.of(retry_all(postgres, chosen, caller.owner))


@router.post(
    "/pause",
    operation_id="pausePart",
    summary="Stop intake, downloads or transcriptions",
    responses={200: {"content": {"application/json": {"example": PAUSED}}}} | _ERRORS,
)
def pause_part(
    asked: Annotated[
        PauseAsked,
        Body(openapi_examples={"download": {"value": {"part": "download", "reason": "Asked to."}}}),
    ],
    caller: Admin,
    operating: OperatingDep,
) -> PausesRead:
    """Holds until it is resumed, restarts included. What runs is not disturbed."""
    applied = operating.pause(asked.part, asked.reason, caller.owner)
    return _paused(operating, applied)


@router.post(
    "/resume",
    operation_id="resumePart",
    summary="Let it go on",
    responses={200: {"content": {"application/json": {"example": {"paused": [], "applied": True}}}}}
    | _ERRORS,
)
def resume_part(
    asked: Annotated[
        ResumeAsked, Body(openapi_examples={"download": {"value": {"part": "download"}}})
    ],
    caller: Admin,
    operating: OperatingDep,
) -> PausesRead:
    """What has waited goes on at once; resuming what is not paused changes nothing."""
    applied = operating.resume(asked.part, caller.owner)
    return _paused(operating, applied)


@router.get(
    "/breakers",
    operation_id="listBreakers",
    summary="Sites that fail, or are closed off",
    responses={200: {"content": {"application/json": {"example": BREAKERS}}}}
    | DATABASE_UNAVAILABLE,
)
def read_breakers(caller: Admin, postgres: PostgresDep, response: Response) -> BreakersRead:
    """After five failures in a row no download starts from a site until one that tries succeeds."""
    response.headers["Cache-Control"] = "no-store"
    return _breakers(postgres)


@router.post(
    "/breakers/open",
    operation_id="openBreaker",
    summary="Stop downloads from one site",
    responses={200: {"content": {"application/json": {"example": BREAKERS}}}}
    | _ERRORS
    | SITE_INVALID,
)
def open_site(
    asked: Annotated[
        BreakerOpenAsked,
        Body(openapi_examples={"site": {"value": {"site": "youtube.com", "reason": "Asked to."}}}),
    ],
    caller: Admin,
    postgres: PostgresDep,
) -> BreakersRead:
    """Holds until it is closed, restarts included. What runs is not disturbed."""
    open_breaker(postgres, site_named(asked.site), asked.reason, caller.owner)
    return _breakers(postgres)


@router.post(
    "/breakers/close",
    operation_id="closeBreaker",
    summary="Let downloads from one site start",
    responses={200: {"content": {"application/json": {"example": {"breakers": []}}}}}
    | _ERRORS
    | SITE_INVALID,
)
def close_site(
    asked: Annotated[
        BreakerAsked, Body(openapi_examples={"site": {"value": {"site": "youtube.com"}}})
    ],
    caller: Admin,
    postgres: PostgresDep,
) -> BreakersRead:
    """Its failures are forgotten, and what has waited goes on at once."""
    close_breaker(postgres, site_named(asked.site), caller.owner)
    return _breakers(postgres)


@router.post(
    "/purge",
    operation_id="purgeMany",
    summary="Erase what is old, or failed",
    responses={
        200: {
            "content": {
                "application/json": {
                    "example": {"dry_run": True, "number": 1, "ids": _IDS, "erased": 0}
                }
            }
        }
    }
    | BODY_ERRORS
    | ADMIN_INVALID
    | PURGE_UNAVAILABLE,
)
def purge_many(
    asked: Annotated[
        PurgeAsked,
        Body(
            openapi_examples={
                "look": {"value": {"older_than_days": 90}},
                "erase": {"value": {"older_than_days": 90, "dry_run": False}},
            }
        ),
    ],
    caller: Admin,
    endings: ActionsDep,
) -> PurgeRead:
    """Erases transcriptions at rest as DELETE does, whoever asked for them; the oldest first.

    A dry run, unless `dry_run` is false. One answer takes 20 s of erasing at most.
    """
    chosen = PurgeFilter(asked.older_than_days, asked.status)
    purged = endings.purge(caller, chosen, dry_run=asked.dry_run)
    return PurgeRead.of(purged, dry_run=asked.dry_run)


def _breakers(postgres: PostgresDep) -> BreakersRead:
    return BreakersRead(breakers=[BreakerRead.of(each) for each in breakers(postgres)])


def _paused(operating: OperatingDep, applied: bool) -> PausesRead:
    return PausesRead(paused=[PauseRead.of(each) for each in operating.paused()], applied=applied)
