"""Whether the process lives, and whether what it stands on answers."""

from fastapi import APIRouter, Response

from api.http.errors import RETRY_AFTER_S
from api.monitoring.dependencies import ReadinessDep
from api.monitoring.schemas import DependencyRead, Health, Ready
from api.responses import RETRY_AFTER_HEADER
from api.version import VERSION

router = APIRouter(tags=["health"])

REQUIRED = ("postgres", "object_store")
"""Parts without which no request can be taken or answered (rule 15: Dagster is none of them)."""

_LIVES = {"status": "ok", "version": "0.1.0"}
_ALL_WELL = {
    "postgres": {"ready": True, "took_ms": 1.2, "cause": None, "required": True},
    "object_store": {"ready": True, "took_ms": 0.3, "cause": None, "required": True},
    "dagster_storage": {"ready": True, "took_ms": 4.1, "cause": None, "required": False},
}
_AWAY = {"ready": False, "took_ms": 2000.0, "cause": "no answer within 2 s", "required": True}
_READY_RESPONSE = {
    "description": "Every part that is needed answers.",
    "content": {"application/json": {"example": {"ready": True, "dependencies": _ALL_WELL}}},
}
_NOT_READY_RESPONSE = {
    "description": "A part that is needed does not answer; `cause` says why.",
    "model": Ready,
    "headers": RETRY_AFTER_HEADER,
    "content": {
        "application/json": {
            "example": {"ready": False, "dependencies": _ALL_WELL | {"postgres": _AWAY}}
        }
    },
}


@router.get(
    "/healthz",
    operation_id="getHealth",
    summary="Does the process live?",
    responses={200: {"content": {"application/json": {"example": _LIVES}}}},
)
async def health(response: Response) -> Health:
    """Answers as long as the process does; asks nobody else. For liveness probes."""
    response.headers["Cache-Control"] = "no-store"
    return Health(version=VERSION)


@router.get(
    "/readyz",
    operation_id="getReadiness",
    summary="Can work be done?",
    responses={200: _READY_RESPONSE, 503: _NOT_READY_RESPONSE},
)
def readiness(response: Response, readiness: ReadinessDep) -> Ready:
    """Asks Postgres, the object store and Dagster's storage at once, for 2 s at most.

    For readiness probes. Without Dagster's storage requests are still taken and answered, and run
    once it is back: it is `required: false`, and the answer stays 200.
    """
    checks = readiness.check()
    ready = all(check.ready for part, check in checks.items() if part in REQUIRED)
    response.headers["Cache-Control"] = "no-store"
    if not ready:
        response.status_code = 503
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return Ready(
        ready=ready,
        dependencies={
            part: DependencyRead(
                ready=check.ready,
                took_ms=check.took_ms,
                cause=check.cause,
                required=part in REQUIRED,
            )
            for part, check in checks.items()
        },
    )
