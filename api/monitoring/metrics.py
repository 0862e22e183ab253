"""Metrics for Prometheus: requests answered by this process, and the queue as Postgres has it."""

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
from resources.maintenance.standstill import standstills
from resources.orchestration.orchestrator import Orchestrator
from resources.orchestration.pauses import PARTS
from resources.postgres.connection import Postgres
from ytcaption.domain.errors import YtcaptionError
from ytcaption.settings.settings import Settings

logger = logging.getLogger(__name__)

CACHED_S = 5.0
OTHER = "other"
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

_COUNTERS = (
    ("audio_in_seconds", "audio_in_s", "Audio stored for transcription."),
    ("audio_done_seconds", "audio_done_s", "Audio that was transcribed."),
    ("processing_seconds", "processing_s", "Time spent decoding and transcribing `audio_done`."),
    ("downloads", "downloads", "Media that were downloaded."),
    ("download_bytes", "download_bytes", "Bytes of the downloaded media."),
    ("completed", "completed", "Transcriptions completed."),
    ("canceled", "canceled", "Transcriptions canceled."),
)
"""Metric, name in `ytcaption.total`, help."""


class Metrics:
    """The metrics of one app. If several processes serve it, they add up in shared files."""

    def __init__(self, *, workers: int = 1) -> None:
        """With more than one worker, `PROMETHEUS_MULTIPROC_DIR`, which prometheus-client reads,
        names the folder of those files."""
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
            "Time until the response starts; the length of a stream does not count.",
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
                logger.warning(
                    "PROMETHEUS_MULTIPROC_DIR is not a folder: each process counts alone"
                )

    def observe(self, method: str, route: str, status: int, took_s: float) -> None:
        """Count one response."""
        self._requests.labels(method, route, str(status)).inc()
        self._latency.labels(method, route).observe(took_s)

    def show(self, collector: "StateCollector") -> None:
        """Add a collector, in place of the one of an earlier start."""
        if self._state is not None:
            self._registry.unregister(self._state)
        self._registry.register(collector)
        self._state = collector

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class RequestMetrics:
    """Counts and times requests by the template of their route, so that ids make no new series."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and observe the start of its response."""
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
    """Collects the metrics of the queue, cached for `CACHED_S`.

    If the database does not answer its metrics are absent and `ytcaption_up` says so.
    """

    def __init__(
        self,
        settings: Settings,
        postgres: Postgres,
        readiness: Readiness,
        orchestrator: Orchestrator,
    ) -> None:
        self._settings = settings
        self._orchestrator = orchestrator
        self._postgres = postgres
        self._readiness = readiness
        self._lock = threading.Lock()
        self._read_at = -CACHED_S
        self._families: list[Metric] = []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, as prometheus-client calls it."""
        with self._lock:
            if time.monotonic() - self._read_at >= CACHED_S:
                self._families = self._read()
                self._read_at = time.monotonic()
            families = self._families
        yield from families

    def _read(self) -> list[Metric]:
        parts = {part: check.ready for part, check in self._readiness.check().items()}
        queue, work = None, []
        if parts.get("postgres"):
            try:
                queue = queue_metrics(self._postgres)
                work = self._work(has_ticks=parts.get("dagster_storage", False))
            except YtcaptionError as error:
                logger.warning("metrics of the queue are not available: %s", error.code)
                parts["postgres"] = False
        up = _gauge("up", "Whether a dependency answers.", "part", parts)
        return [up, *work, *(_families(queue) if queue else ())]

    def _work(self, *, has_ticks: bool) -> list[Metric]:
        ticks = (self._orchestrator.ticks(self._settings) if has_ticks else None) or []
        still = {
            each.part: each.since_s or 0.0
            for each in standstills(self._settings, self._postgres, ticks)
        }
        ages = {tick.name: tick.age_s for tick in ticks if tick.age_s is not None}
        return [
            _gauge("standstill_seconds", "How long a part has done no work.", "part", still),
            _gauge("sensor_tick_age_seconds", "Time since a sensor's tick.", "sensor", ages),
        ]


def _families(queue: QueueMetrics) -> Iterator[Metric]:
    waiting = queue.waiting | {"failed": sum(queue.failed.values())}
    yield _gauge("transcriptions", "Queued, running and permanently failed.", "status", waiting)
    yield _gauge("oldest_seconds", "Age of the oldest queued or running.", "status", queue.oldest_s)
    yield _gauge("failed", "Permanently failed and not requested again.", "code", queue.failed)
    paused = {part: part in queue.paused for part in PARTS}
    yield _gauge("paused", "Whether an operator has paused a part.", "part", paused)
    sites = GaugeMetricFamily(
        "ytcaption_breaker", "Sites from which no download starts.", labels=("site", "state")
    )
    for site in sorted(queue.sites):
        sites.add_metric(site, 1.0)
    yield sites
    yield _counter(queue, "failures", "Attempts that failed.", "code")
    yield _counter(queue, "delivery_attempts", "Webhook deliveries, by outcome.", "outcome")
    yield _gauge("deliveries", "Waiting and dead webhook deliveries.", "status", queue.deliveries)
    yield GaugeMetricFamily(
        "ytcaption_delivery_oldest_seconds",
        "Age of the oldest waiting delivery.",
        value=queue.oldest_delivery_s,
    )
    for metric, name, help in _COUNTERS:
        yield CounterMetricFamily(f"ytcaption_{metric}", help, value=queue.total(name))
    if done_s := queue.total("audio_done_s"):
        ratio = queue.total("processing_s") / done_s
        yield GaugeMetricFamily("ytcaption_rtf", "Processing time / audio time.", value=ratio)


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
