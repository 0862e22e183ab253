"""Routes of operators: overview, retry, cancel, pause and resume, circuit breakers, purge."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Response

from api.admin.schemas import (
    AffectedResponse,
    Breaker,
    BreakerOpenRequest,
    BreakerRequest,
    BreakersResponse,
    CancelManyRequest,
    CancelManyResponse,
    OverviewResponse,
    Pause,
    PauseRequest,
    PausesResponse,
    PurgeRequest,
    PurgeResponse,
    ResumeRequest,
    RetryRequest,
)
from api.dependencies import Admin, LongWorkDep, PostgresDep, SettingsDep
from api.responses import (
    ADMIN_INVALID,
    BODY_ERRORS,
    DATABASE_UNAVAILABLE,
    ERASURE_UNAVAILABLE,
    NO_STORE,
    json_example,
    problem_response,
)
from api.transcriptions.dependencies import ActionsDep, PauseControlDep
from api.transcriptions.examples import EXAMPLE_ID
from resources.admin.service import CancelFilter, RetryFilter, cancel_all, overview, retry_all
from resources.maintenance.purge import PurgeFilter
from resources.sites.circuit_breaker import breakers, close_breaker, open_breaker, site_named

router = APIRouter(prefix="/api/v1/admin", tags=["operation"])

_ERRORS = BODY_ERRORS | ADMIN_INVALID | DATABASE_UNAVAILABLE
_SITE_INVALID = problem_response(
    422,
    ("invalid_request", "The request is not valid. #/site: Field required.", "A field is wrong"),
    ("invalid_url", "The link's host is not a valid name.", "The site is not valid"),
)
_PAUSED = {
    "paused": [
        {
            "part": "download",
            "reason": "Requested by the network team.",
            "paused_by": "key:mfrggzdfmztwq2lk",
            "paused_at": "2026-11-24T10:00:00Z",
        }
    ],
    "applied": True,
}
_BREAKERS = {
    "breakers": [
        {
            "site": "youtube.com",
            "state": "open",
            "failures": 5,
            "code": "source_blocked",
            "opened_at": "2026-11-24T10:00:00Z",
            "probe_at": "2026-11-24T10:01:00Z",
            "reason": "",
            "opened_by": None,
            "waiting": 3,
        }
    ]
}
_THROTTLED_SITES = [
    {
        "site": "youtube.com",
        "code": "pause",
        "message": "There is a pause between downloads from youtube.com: bulk work continues at "
        "2026-11-24 10:00:12 UTC.",
        "until": "2026-11-24T10:00:12Z",
        "waiting": 211,
    }
]
_OVERVIEW = {
    "counts": {"queued": 3, "running": 1, "completed": 812, "failed": 4, "canceled": 0},
    "oldest_waiting_s": 12.5,
    "running": [
        {
            "id": EXAMPLE_ID,
            "title": "Never Gonna Give You Up",
            "stage": "transcription",
            "progress_done": 61.0,
            "progress_total": 212.0,
            "attempt": 1,
            "run_id": "3f0d8f4e-8a43-4b6c-9a55-5d3f1c2b7a10",
            "age_s": 21.4,
            "silent_s": 0.4,
        }
    ],
    "failures": [
        {
            "code": "media_private",
            "number": 4,
            "last_at": "2026-11-24T09:58:00Z",
            "last_message": "The video is private.",
        }
    ],
    "pauses": [],
    "breakers": [],
    "throttled_sites": _THROTTLED_SITES,
    "resting": _THROTTLED_SITES,
    "media_count": 820,
    "audio_bytes": 4_100_000_000,
    "disk_free_bytes": 90_000_000_000,
    "disk_total_bytes": 250_000_000_000,
}


@router.get(
    "/overview",
    operation_id="getOverview",
    summary="Get the queue at a glance",
    responses=json_example(200, _OVERVIEW) | DATABASE_UNAVAILABLE,
)
def read_overview(
    caller: Admin, settings: SettingsDep, postgres: PostgresDep, response: Response
) -> OverviewResponse:
    """Return the counts by state, the longest wait, what is running, failures by cause, pauses and
    free disk space."""
    response.headers.update(NO_STORE)
    return OverviewResponse.of(overview(postgres, settings.home))


@router.post(
    "/retry",
    operation_id="retryMany",
    summary="Retry failed transcriptions",
    responses=json_example(200, {"number": 1, "ids": [EXAMPLE_ID]}) | _ERRORS,
)
async def retry_many(
    body: Annotated[
        RetryRequest,
        Body(openapi_examples={"code": {"value": {"code": "source_blocked"}}}),
    ],
    caller: Admin,
    postgres: PostgresDep,
    long_work: LongWorkDep,
) -> AffectedResponse:
    """Queue everything that matches for a new series of attempts."""
    filter = RetryFilter(**body.model_dump())
    retry = partial(retry_all, postgres, filter, caller.owner)
    return AffectedResponse.of(await long_work.bulk.run(caller, retry))


@router.post(
    "/cancel",
    operation_id="cancelMany",
    summary="Cancel queued or running transcriptions",
    responses=json_example(200, {"number": 1, "ids": [EXAMPLE_ID], "dry_run": True}) | _ERRORS,
)
async def cancel_many(
    body: Annotated[
        CancelManyRequest,
        Body(
            openapi_examples={
                "look": {"value": {"site": "youtube.com"}},
                "cancel": {"value": {"site": "youtube.com", "dry_run": False}},
            }
        ),
    ],
    caller: Admin,
    postgres: PostgresDep,
    long_work: LongWorkDep,
) -> CancelManyResponse:
    """Cancel everything that matches, for everybody who requested it, or for one `owner`.

    It is a dry run unless `dry_run` is false. Runs end within seconds.
    """
    filter = CancelFilter(**body.model_dump(exclude={"dry_run"}))
    cancel = partial(cancel_all, postgres, filter, caller.owner, dry_run=body.dry_run)
    affected = await long_work.bulk.run(caller, cancel)
    return CancelManyResponse(number=affected.number, ids=list(affected.ids), dry_run=body.dry_run)


@router.post(
    "/pause",
    operation_id="pausePart",
    summary="Pause intake, downloads or transcriptions",
    responses=json_example(200, _PAUSED) | _ERRORS,
)
def pause_part(
    body: Annotated[
        PauseRequest,
        Body(
            openapi_examples={
                "download": {
                    "value": {"part": "download", "reason": "Requested by the network team."}
                }
            }
        ),
    ],
    caller: Admin,
    pause_control: PauseControlDep,
) -> PausesResponse:
    """Pause a part until it is resumed, also across restarts. Running work continues."""
    applied = pause_control.pause(body.part, body.reason, caller.owner)
    return _paused(pause_control, applied)


@router.post(
    "/resume",
    operation_id="resumePart",
    summary="Resume a paused part",
    responses=json_example(200, {"paused": [], "applied": True}) | _ERRORS,
)
def resume_part(
    body: Annotated[
        ResumeRequest, Body(openapi_examples={"download": {"value": {"part": "download"}}})
    ],
    caller: Admin,
    pause_control: PauseControlDep,
) -> PausesResponse:
    """Resume a part at once. Resuming a part that is not paused changes nothing."""
    applied = pause_control.resume(body.part, caller.owner)
    return _paused(pause_control, applied)


@router.get(
    "/breakers",
    operation_id="listBreakers",
    summary="List sites that fail or are closed",
    responses=json_example(200, _BREAKERS) | DATABASE_UNAVAILABLE,
)
def read_breakers(caller: Admin, postgres: PostgresDep, response: Response) -> BreakersResponse:
    """Return the circuit breakers. After five consecutive failures no download starts from a site
    until a probe succeeds."""
    response.headers.update(NO_STORE)
    return _breakers(postgres)


@router.post(
    "/breakers/open",
    operation_id="openBreaker",
    summary="Stop downloads from a site",
    responses=json_example(200, _BREAKERS) | _ERRORS | _SITE_INVALID,
)
def open_site(
    body: Annotated[
        BreakerOpenRequest,
        Body(
            openapi_examples={
                "site": {
                    "value": {"site": "youtube.com", "reason": "Requested by the network team."}
                }
            }
        ),
    ],
    caller: Admin,
    postgres: PostgresDep,
) -> BreakersResponse:
    """Open the breaker until it is closed, also across restarts. Running downloads continue."""
    open_breaker(postgres, site_named(body.site), body.reason, caller.owner)
    return _breakers(postgres)


@router.post(
    "/breakers/close",
    operation_id="closeBreaker",
    summary="Allow downloads from a site",
    responses=json_example(200, {"breakers": []}) | _ERRORS | _SITE_INVALID,
)
def close_site(
    body: Annotated[
        BreakerRequest, Body(openapi_examples={"site": {"value": {"site": "youtube.com"}}})
    ],
    caller: Admin,
    postgres: PostgresDep,
) -> BreakersResponse:
    """Close the breaker and reset its failures; waiting downloads start at once."""
    close_breaker(postgres, site_named(body.site), caller.owner)
    return _breakers(postgres)


@router.post(
    "/purge",
    operation_id="purgeMany",
    summary="Erase old or failed transcriptions",
    responses=json_example(200, {"dry_run": True, "number": 1, "ids": [EXAMPLE_ID], "erased": 0})
    | BODY_ERRORS
    | ADMIN_INVALID
    | ERASURE_UNAVAILABLE,
)
async def purge_many(
    body: Annotated[
        PurgeRequest,
        Body(
            openapi_examples={
                "look": {"value": {"older_than_days": 90}},
                "erase": {"value": {"older_than_days": 90, "dry_run": False}},
            }
        ),
    ],
    caller: Admin,
    actions: ActionsDep,
) -> PurgeResponse:
    """Erase finished transcriptions as DELETE does, for everybody who requested them, the oldest
    first.

    It is a dry run unless `dry_run` is false. One request erases for at most 20 s.
    """
    filter = PurgeFilter(body.older_than_days, body.status)
    purged = await actions.purge(caller, filter, dry_run=body.dry_run)
    return PurgeResponse.of(purged, dry_run=body.dry_run)


def _breakers(postgres: PostgresDep) -> BreakersResponse:
    return BreakersResponse(breakers=[Breaker.of(each) for each in breakers(postgres)])


def _paused(pause_control: PauseControlDep, applied: bool) -> PausesResponse:
    return PausesResponse(
        paused=[Pause.of(each) for each in pause_control.paused()], applied=applied
    )
