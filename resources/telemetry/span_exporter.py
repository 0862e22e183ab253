"""Sends spans to the collector: an unavailable one neither slows the work nor floods the log."""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

logger = logging.getLogger(__name__)

PATH = "/v1/traces"
TIMEOUT_S = 2.0
"""For a batch, including retries. Blocks the sending thread, and the exit of the process."""


def traces_url(endpoint: str) -> str:
    """Return the URL for traces: OTLP's path is added if the endpoint has none."""
    parts = urlsplit(endpoint)
    if parts.path.strip("/"):
        return endpoint
    return parts._replace(path=PATH).geturl()


def quiet_exporter(endpoint: str, is_closing: Callable[[], bool]) -> "SpanExporter":
    """Return an OTLP/HTTP exporter that logs once when the collector fails, and once when it is
    back.

    Args:
        endpoint: of the collector.
        is_closing: whether the process is exiting; then a collector that has failed is not tried.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class QuietExporter(SpanExporter):
        def __init__(self) -> None:
            self._exporter = OTLPSpanExporter(endpoint=traces_url(endpoint), timeout=TIMEOUT_S)
            self._is_unavailable = False

        def export(self, spans: "Sequence[ReadableSpan]") -> SpanExportResult:
            if self._is_unavailable and is_closing():
                return SpanExportResult.FAILURE
            result = self._exporter.export(spans)
            has_failed = result is not SpanExportResult.SUCCESS
            if has_failed and not self._is_unavailable:
                logger.warning("the collector takes no traces; they are dropped until it does")
            elif self._is_unavailable and not has_failed:
                logger.info("the collector takes traces again")
            self._is_unavailable = has_failed
            return result

        def shutdown(self) -> None:
            self._exporter.shutdown()

    return QuietExporter()
