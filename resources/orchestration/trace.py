"""What a run tells of itself beside its results: a span an asset, and ids in its log lines."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from structlog.contextvars import bound_contextvars

from resources.telemetry.logs import configure_own_logging
from resources.telemetry.spans import OK, span, start_telemetry
from resources.telemetry.trace_context import TraceContext
from ytcaption.settings import load_settings

ATTEMPT_TAG = "ytcaption/attempt"
"""Run tag: the attempt a run was made for. Runs made by hand have none."""

TRACE_TAG = "ytcaption/traceparent"
"""Run tag: W3C trace context of the request that the run is made for."""


@contextmanager
def asset_span(context: dg.AssetExecutionContext, of: str = "transcription_id") -> Iterator[None]:
    """A span below the request's own, around one asset; `ytcaption.outcome` is `ok` or a code.

    Args:
        of: what the partition key is.
    """
    settings = load_settings()
    configure_own_logging(settings.log_format)
    start_telemetry(settings.otlp_endpoint, "ytcaption-run")
    key, run_id, tags = context.partition_key, context.run_id, context.run.tags
    stage = context.asset_key.to_user_string()
    attributes = {
        f"ytcaption.{of}": key,
        "ytcaption.stage": stage,
        "ytcaption.attempt": tags.get(ATTEMPT_TAG),
        "dagster.run_id": run_id,
    }
    parent = TraceContext.from_headers(tags.get(TRACE_TAG)) or _trace_of_run(run_id)
    with (
        bound_contextvars(**{of: key}, run_id=run_id, stage=stage),
        span(stage, attributes, parent=parent, root=True) as asset,
    ):
        try:
            yield
        except dg.Failure as failure:
            code = str(failure.metadata["code"].value) if "code" in failure.metadata else "failed"
            asset.set({"ytcaption.outcome": code})
            asset.fail(code, failure.description or "")
            raise
        asset.set({"ytcaption.outcome": OK})


def _trace_of_run(run_id: str) -> TraceContext | None:
    """One trace for the assets of a run that no request stands behind: its id is the run's."""
    try:
        run = uuid.UUID(run_id)
    except ValueError:
        return None
    return TraceContext(run.hex, run.hex[-16:], is_remote=True)
