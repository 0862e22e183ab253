"""Telemetry of runs: a span per asset, and ids in log lines."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from structlog.contextvars import bound_contextvars

from resources.orchestration.tags import ATTEMPT_TAG, TRACE_TAG
from resources.telemetry.logs import configure_own_logging
from resources.telemetry.spans import OK, span, start_telemetry
from resources.telemetry.trace_context import TraceContext
from ytcaption.settings.settings import load_settings


@contextmanager
def asset_span(context: dg.AssetExecutionContext, of: str = "transcription_id") -> Iterator[None]:
    """Put one asset into a span below that of the request. Its attribute `ytcaption.outcome` is
    `ok` or an error code.

    Args:
        of: meaning of the partition key, for the name of the attribute.
    """
    settings = load_settings()
    configure_own_logging(settings.operation.log_format)
    start_telemetry(settings.operation.otlp_endpoint, "ytcaption-run")
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
    """Return the trace shared by the assets of a run without a request; its id is the run's."""
    try:
        run = uuid.UUID(run_id)
    except ValueError:
        return None
    return TraceContext(run.hex, run.hex[-16:], is_remote=True)
