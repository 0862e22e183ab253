"""Liveness and readiness probes: `/healthz` and `/readyz`."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from api.dependencies import part
from api.http.errors import RETRY_AFTER_S
from api.http.fields import old_name
from api.monitoring.readiness import Readiness
from api.responses import NO_STORE, RETRY_AFTER_HEADER, json_example
from api.version import VERSION

router = APIRouter(tags=["health"])

ReadinessDep = Annotated[Readiness, part("readiness")]

REQUIRED = ("postgres", "object_store")
"""Dependencies without which no request can be accepted or answered. Dagster is not one of them:
a load balancer that stopped sending because runs wait would lose requests for nothing."""


class HealthResponse(BaseModel):
    """The process is alive."""

    status: Literal["ok"] = "ok"
    version: str


class DependencyStatus(BaseModel):
    """The state of one dependency of the API."""

    ready: bool
    took_s: Annotated[float, Field(description="Seconds that the check took.")]
    reason: Annotated[str | None, Field(description="Why it is not ready.")]
    required: Annotated[bool, Field(description="Whether nothing works without it.")]

    @old_name
    @property
    def took_ms(self) -> float:
        """Old form of `took_s`, in milliseconds."""
        return round(self.took_s * 1000, 1)

    @old_name
    @property
    def cause(self) -> str | None:
        """Old name of `reason`."""
        return self.reason


class ReadinessResponse(BaseModel):
    """Whether the API can work, by dependency."""

    ready: bool
    dependencies: dict[str, DependencyStatus]


def _status(took_s: float, reason: str | None = None, *, required: bool = True) -> dict[str, Any]:
    return {
        "ready": reason is None,
        "took_s": took_s,
        "reason": reason,
        "required": required,
        "took_ms": took_s * 1000,
        "cause": reason,
    }


_READY = {
    "postgres": _status(0.0012),
    "object_store": _status(0.0003),
    "dagster_storage": _status(0.0041, required=False),
    "pipeline": _status(0.0105, required=False),
}
_NOT_READY = _READY | {"postgres": _status(2.0, "no answer within 2 s")}
_READY_RESPONSE = {
    "description": "Every required dependency answers.",
    "content": {"application/json": {"example": {"ready": True, "dependencies": _READY}}},
}
_NOT_READY_RESPONSE = {
    "description": "A required dependency does not answer; `reason` says why.",
    "model": ReadinessResponse,
    "headers": RETRY_AFTER_HEADER,
    "content": {"application/json": {"example": {"ready": False, "dependencies": _NOT_READY}}},
}


@router.get(
    "/healthz",
    operation_id="getHealth",
    summary="Check that the process is alive",
    responses=json_example(200, {"status": "ok", "version": "0.1.0"}),
)
async def health(response: Response) -> HealthResponse:
    """Answer without checking anything else. For liveness probes."""
    response.headers.update(NO_STORE)
    return HealthResponse(version=VERSION)


@router.get(
    "/readyz",
    operation_id="getReadiness",
    summary="Check that the API can work",
    responses={200: _READY_RESPONSE, 503: _NOT_READY_RESPONSE},
)
async def readiness(response: Response, readiness: ReadinessDep) -> ReadinessResponse:
    """Check Postgres, the object store, Dagster's storage and the pipeline in parallel, for 2 s at
    most.

    For readiness probes. `pipeline` is judged by work done: sensors tick, and the oldest item of
    each queue that nothing holds back is young. Without it, or without Dagster's storage, requests
    are still accepted and answered, and run once it is back: both are `required: false`, and the
    status stays 200. Alert on `dependencies.pipeline.ready`.
    """
    checks = await readiness.checked()
    ready = all(check.ready for name, check in checks.items() if name in REQUIRED)
    response.headers.update(NO_STORE)
    if not ready:
        response.status_code = 503
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return ReadinessResponse(
        ready=ready,
        dependencies={
            name: DependencyStatus(
                ready=check.ready,
                took_s=check.took_s,
                reason=check.reason,
                required=name in REQUIRED,
            )
            for name, check in checks.items()
        },
    )
