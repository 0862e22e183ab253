"""Spans on their way to the collector: one that is away slows nothing and floods no log."""

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
"""For a batch, its repetitions included. The thread that sends waits for it, and an exit."""


def traces_url(endpoint: str) -> str:
    """Where a collector takes traces: its address alone gets OTLP's path."""
    parts = urlsplit(endpoint)
    if parts.path.strip("/"):
        return endpoint
    return parts._replace(path=PATH).geturl()


def quiet_exporter(endpoint: str, is_closing: Callable[[], bool]) -> "SpanExporter":
    """OTLP over HTTP; says once that the collector is away, and once that it is back.

    Args:
        endpoint: of the collector.
        is_closing: the process ends and has no time for a collector that is known to be away.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class QuietExporter(SpanExporter):
        def __init__(self) -> None:
            self._exporter = OTLPSpanExporter(endpoint=traces_url(endpoint), timeout=TIMEOUT_S)
            self._away = False

        def export(self, spans: "Sequence[ReadableSpan]") -> SpanExportResult:
            if self._away and is_closing():
                return SpanExportResult.FAILURE
            result = self._exporter.export(spans)
            is_away = result is not SpanExportResult.SUCCESS
            if is_away and not self._away:
                logger.warning("the collector takes no traces; they are dropped until it does")
            elif self._away and not is_away:
                logger.info("the collector takes traces again")
            self._away = is_away
            return result

        def shutdown(self) -> None:
            self._exporter.shutdown()

    return QuietExporter()
