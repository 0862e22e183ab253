"""What Prometheus reads: requests as they were answered here, and the queue as Postgres has it."""

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.monitoring.readiness import Readiness
from resources.admin.queue_metrics import QueueMetrics, queue_metrics
from resources.orchestration.pauses import PARTS
from resources.postgres.connection import Postgres
from ytcaption.domain.errors import YtcaptionError

logger = logging.getLogger(__name__)

CACHED_S = 5.0
OTHER = "other"
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

_COUNTERS = (
    ("audio_in_seconds", "audio_in_s", "Audio stored to be transcribed."),
    ("audio_done_seconds", "audio_done_s", "Audio that was transcribed."),
    ("processing_seconds", "processing_s", "Spent decoding and hearing `audio_done`."),
    ("downloads", "downloads", "Media that were downloaded."),
    ("download_bytes", "download_bytes", "Their bytes."),
    ("completed", "completed", "Transcriptions completed."),
    ("canceled", "canceled", "Transcriptions canceled."),
)
"""Metric, row of `ytcaption.total`, help."""


class Metrics:
    """The counters of one app. Where several processes serve it, they add up in files."""

    def __init__(self, *, workers: int = 1) -> None:
        """Takes the number of processes: with more than one `PROMETHEUS_MULTIPROC_DIR`, which
        prometheus-client reads, names the folder of those files."""
        self._state: StateCollector | None = None
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "ytcaption_http_requests",
            "Requests answered, by route template.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._latency = Histogram(
            "ytcaption_http_request_duration_seconds",
            "Until the answer begins: a stream's length does not count.",
            ("method", "route"),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        if workers > 1:
            try:
                shared = CollectorRegistry()
                MultiProcessCollector(shared)
                self._registry = shared
            except ValueError:
                logger.warning("PROMETHEUS_MULTIPROC_DIR is no folder: each process counts alone")

    def observe(self, method: str, route: str, status: int, took_s: float) -> None:
        """Counts one answer."""
        self._requests.labels(method, route, str(status)).inc()
        self._latency.labels(method, route).observe(took_s)

    def show(self, collector: "StateCollector") -> None:
        """Shows these numbers, too, in place of an earlier start's."""
        if self._state is not None:
            self._registry.unregister(self._state)
        self._registry.register(collector)
        self._state = collector

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


class Measured:
    """Counts and times every request, by the template of its route: ids make no new series."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands on, and looks at the answer's first line."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started_at = time.perf_counter()
        answered = False

        async def send_measured(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                self._observe(scope, message["status"], time.perf_counter() - started_at)
            await send(message)

        try:
            await self.app(scope, receive, send_measured)
        except Exception:
            if not answered:
                self._observe(scope, 500, time.perf_counter() - started_at)
            raise

    def _observe(self, scope: Scope, status: int, took_s: float) -> None:
        route = getattr(scope.get("route"), "path", OTHER)
        method = scope["method"] if scope["method"] in _METHODS else OTHER
        self.metrics.observe(method, route, status, took_s)


class StateCollector:
    """The queue, read when it is asked for and kept for `CACHED_S`.

    Where the database is away its numbers are absent, `ytcaption_up` says so, and the rest answers.
    """

    def __init__(self, postgres: Postgres, readiness: Readiness) -> None:
        self._postgres = postgres
        self._readiness = readiness
        self._lock = threading.Lock()
        self._read_at = -CACHED_S
        self._families: list[Metric] = []

    def collect(self) -> Iterator[Metric]:
        """What prometheus-client asks for."""
        with self._lock:
            if time.monotonic() - self._read_at >= CACHED_S:
                self._families = self._read()
                self._read_at = time.monotonic()
            families = self._families
        yield from families

    def _read(self) -> list[Metric]:
        parts = {part: check.ready for part, check in self._readiness.check().items()}
        queue = None
        if parts.get("postgres"):
            try:
                queue = queue_metrics(self._postgres)
            except YtcaptionError as error:
                logger.warning("the queue's numbers are left out: %s", error.code)
                parts["postgres"] = False
        up = _gauge("up", "Whether a part answers.", "part", parts)
        return [up, *(_families(queue) if queue else ())]


def _families(queue: QueueMetrics) -> Iterator[Metric]:
    waiting = queue.waiting | {"failed": sum(queue.failed.values())}
    yield _gauge("transcriptions", "Queued, running, and failed for good.", "status", waiting)
    yield _gauge("oldest_seconds", "Age of the oldest queued or running.", "status", queue.oldest_s)
    yield _gauge("failed", "Failed for good and not asked for again.", "code", queue.failed)
    paused = {part: part in queue.paused for part in PARTS}
    yield _gauge("paused", "Whether an operator has stopped a part.", "part", paused)
    sites = GaugeMetricFamily(
        "ytcaption_breaker", "Sites from which no download starts.", labels=("site", "state")
    )
    for site in sorted(queue.sites):
        sites.add_metric(site, 1.0)
    yield sites
    yield _counter(queue, "failures", "Attempts that failed.", "code")
    yield _counter(queue, "delivery_attempts", "Of webhooks, by what came of them.", "outcome")
    yield _gauge("deliveries", "Of webhooks, that wait or are dead.", "status", queue.deliveries)
    yield GaugeMetricFamily(
        "ytcaption_delivery_oldest_seconds",
        "Age of the oldest delivery that waits.",
        value=queue.oldest_delivery_s,
    )
    for metric, name, help in _COUNTERS:
        yield CounterMetricFamily(f"ytcaption_{metric}", help, value=queue.total(name))
    if done_s := queue.total("audio_done_s"):
        ratio = queue.total("processing_s") / done_s
        yield GaugeMetricFamily("ytcaption_rtf", "Processing / audio seconds, of all.", value=ratio)


def _counter(queue: QueueMetrics, total: str, help: str, label: str) -> CounterMetricFamily:
    family = CounterMetricFamily(f"ytcaption_{total}", help, labels=(label,))
    for (name, code), value in sorted(queue.totals.items()):
        if name == total:
            family.add_metric((code,), value)
    return family


def _gauge(name: str, help: str, label: str, values: dict[str, Any]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"ytcaption_{name}", help, labels=(label,))
    for key, value in sorted(values.items()):
        family.add_metric((key,), float(value))
    return family
