"""`GET /metrics`."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.dependencies import Admin

router = APIRouter(tags=["operation"])

_EXAMPLE = """\
# HELP ytcaption_transcriptions Queued, running and permanently failed.
# TYPE ytcaption_transcriptions gauge
ytcaption_transcriptions{status="queued"} 3.0
"""


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Get metrics for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "Prometheus' text format.",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        },
    },
)
def read_metrics(request: Request, caller: Admin) -> Response:
    """Return the requests and their latency as answered by this server, and the queue as Postgres
    has it, 5 s old at most.

    If the database does not answer its metrics are absent and `ytcaption_up` says so.
    """
    text = request.app.state.metrics.text()
    return Response(text, media_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
