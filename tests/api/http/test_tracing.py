"""Traces: what a collector receives, and that none costs nothing."""

import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import dagster as dg
import pytest
from fastapi.testclient import TestClient
from sqlalchemy.exc import IntegrityError

from api.app import create_app
from resources.orchestration.partitions import transcription_partitions
from resources.telemetry import spans as telemetry
from resources.telemetry.span_exporter import traces_url
from resources.telemetry.trace_context import TraceContext, current_trace, in_trace
from resources.transcriptions.store import RequestStore
from sensors.transcription_sensor import transcription_sensor
from tests.api.conftest import BASE_URL, World
from tests.support.patience import patience
from tests.support.rows import recent_transcriptions
from tests.support.servers.media_server import MediaServer
from tests.support.servers.otlp_receiver import OtlpReceiver
from tests.ytcaption_assets.assets.conftest import Graph, environment, graph, media_server  # noqa: F401
from ytcaption.settings.settings import Settings
from ytcaption_assets.definitions import build_definitions

TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE_ID}-{SPAN_ID}-01"
SERVER_KIND = 2


@pytest.fixture
def collector(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    """Set the endpoint after `settings` has cleared the environment."""
    with OtlpReceiver() as receiver:
        monkeypatch.setenv("YTCAPTION_OTLP_ENDPOINT", receiver.endpoint)
        yield receiver
        telemetry.stop_telemetry()


def traced_app(settings: Settings, endpoint: str) -> TestClient:
    settings = settings.changed(otlp_endpoint=endpoint)
    return TestClient(create_app(settings), base_url=BASE_URL)


def run_due(graph: Graph) -> dg.ExecuteInProcessResult:
    """Do what the daemon does: one tick of the sensor, and the run it requests."""
    with dg.build_sensor_context(
        instance=graph.instance,
        resources={"request_store": graph.store, "postgres": graph.store.postgres},
    ) as context:
        result = transcription_sensor(context)
    assert isinstance(result, dg.SensorResult) and result.run_requests
    (run,) = result.run_requests
    assert run.partition_key is not None
    with suppress(IntegrityError):  # the API adds it at the same time
        graph.instance.add_dynamic_partitions(
            transcription_partitions.name or "", [run.partition_key]
        )
    job = build_definitions(graph.settings).resolve_job_def("transcribe")
    return job.execute_in_process(
        instance=graph.instance,
        partition_key=run.partition_key,
        tags=run.tags,
        raise_on_error=False,
    )


@pytest.mark.slow
@pytest.mark.model
def test_one_trace_from_the_post_to_the_parquet(
    collector: OtlpReceiver,
    graph: Graph,
    media_server: MediaServer,
) -> None:
    """The client's trace continues in the request, its statements, the run and its steps."""
    with traced_app(graph.settings, collector.endpoint) as client:
        body = {"url": media_server.url("jfk.flac"), "model": "tiny.en"}
        headers = {"traceparent": TRACEPARENT}
        answer = client.post("/api/v1/transcriptions", json=body, headers=headers)
        assert answer.status_code == 202
        assert run_due(graph).success

    assert {span.trace_id for span in collector.spans} == {TRACE_ID}
    post = collector.named("POST /api/v1/transcriptions")
    assert (post.parent_id, post.kind, post.service) == (SPAN_ID, SERVER_KIND, "ytcaption-api")
    assert post.attributes["http.response.status_code"] == 202
    assert post.attributes["http.route"] == "/api/v1/transcriptions"
    assert collector.below(post) >= {
        "postgres.submit",
        "audio_download",
        "transcription",
        "transcript_parquet",
    }
    download = collector.named("audio_download")
    assert download.attributes | {"dagster.run_id": ""} == {
        "ytcaption.transcription_id": answer.json()["id"],
        "ytcaption.stage": "audio_download",
        "ytcaption.attempt": "1",
        "ytcaption.outcome": "ok",
        "dagster.run_id": "",
    }
    assert collector.below(download) >= {"download", "probe", "object_store.write_file"}
    whole = collector.named("transcription")
    steps = {"decode", "vad", "load", "model", "captions", "object_store.write_bytes"}
    assert collector.below(whole) >= steps | {"postgres.transcript_stored"}
    assert whole.start_ns < collector.named("vad").start_ns < collector.named("model").end_ns
    assert collector.named("model").end_ns < whole.end_ns
    stored = collector.named("transcript_parquet")
    assert collector.below(stored) >= {"object_store.read_bytes", "lake", "postgres.complete"}
    assert post.start_ns < download.start_ns < whole.start_ns < stored.start_ns


@pytest.mark.slow
def test_the_span_of_a_failed_asset_has_its_code_and_no_secret(
    collector: OtlpReceiver,
    graph: Graph,
    media_server: MediaServer,
) -> None:
    """The span has the error code; the link appears in no span."""
    graph.submit(media_server.url("nothing.mp3") + "?token=s3cret")
    assert not run_due(graph).success
    telemetry.stop_telemetry()

    failed = collector.named("audio_download")
    row = recent_transcriptions(graph.store.postgres)[0]
    assert failed.failed and row.error_code
    assert failed.attributes["ytcaption.outcome"] == failed.attributes["error.type"]
    assert failed.attributes["ytcaption.outcome"] == row.error_code
    assert failed.trace_id == str(failed.attributes["dagster.run_id"]).replace("-", "")
    assert collector.named("download").failed
    assert b"s3cret" not in collector.raw


@pytest.mark.long
def test_each_request_is_a_span_named_by_its_route(
    collector: OtlpReceiver, settings: Settings, world: World
) -> None:
    """HEAD, too; ids are not in names; probes have no spans; an unknown path has no route."""
    id = world.completed()
    with traced_app(settings, collector.endpoint) as client:
        client.get(f"/api/v1/transcriptions/{id}")
        client.head(f"/api/v1/transcriptions/{id}/result?format=srt")
        client.get("/wp-login.php?password=s3cret")
        client.get("/healthz")

    names = [span.name for span in collector.spans if span.kind == SERVER_KIND]
    assert names == [
        "GET /api/v1/transcriptions/{id}",
        "HEAD /api/v1/transcriptions/{id}/result",
        "GET",
    ]
    read = collector.named("HEAD /api/v1/transcriptions/{id}/result")
    assert "object_store.read_bytes" in collector.below(read)
    assert b"s3cret" not in collector.raw


@pytest.mark.parametrize(
    ("header", "recorded"),
    [
        (None, True),
        ("00-" + "0" * 32 + "-00f067aa0ba902b7-01", True),
        ("nonsense", True),
        (f"ff-{TRACE_ID}-{SPAN_ID}-01", True),
        (f"00-{TRACE_ID}-{SPAN_ID}-01-more", True),
        (f"00-{TRACE_ID}-{SPAN_ID}-00", False),
    ],
)
def test_an_invalid_context_starts_a_trace_and_an_unsampled_one_is_not_recorded(
    collector: OtlpReceiver, settings: Settings, header: str | None, recorded: bool
) -> None:
    """W3C: an invalid header counts as none; the client's flag not to record is respected."""
    with traced_app(settings, collector.endpoint) as client:
        client.get("/api/v1/options", headers={"traceparent": header} if header else {})

    found = {span.trace_id for span in collector.spans}
    assert len(found) == (1 if recorded else 0)
    assert TRACE_ID not in found


def test_the_trace_is_stored_with_the_work_without_a_collector(
    client: TestClient, request_store: RequestStore
) -> None:
    """A run's log lines name the client's trace even if nothing records it."""
    body = {"url": "https://youtu.be/dQw4w9WgXcQ"}
    client.post("/api/v1/transcriptions", json=body, headers={"traceparent": TRACEPARENT})

    (due,) = request_store.due(10)
    assert due.traceparent == TRACEPARENT


@pytest.mark.slow
@pytest.mark.parametrize("hangs", [False, True])
def test_an_unreachable_collector_slows_nothing_and_is_logged_once(
    settings: Settings, caplog: pytest.LogCaptureFixture, hangs: bool
) -> None:
    """Requests are as fast as before, and the shutdown waits for seconds at most."""
    with socket.socket() as listener, caplog.at_level(logging.DEBUG):
        listener.bind(("127.0.0.1", 0))
        if hangs:
            listener.listen()
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with traced_app(settings, endpoint) as client:
            took = []
            for _ in range(100):
                began = time.perf_counter()
                assert client.get("/api/v1/options").status_code == 200
                took.append(time.perf_counter() - began)
                time.sleep(0.05)
            ending = time.perf_counter()
        assert time.perf_counter() - ending < 8 * patience()
        assert sorted(took)[len(took) // 2] < 0.1

    about = [line for line in caplog.records if "collector" in line.message]
    assert len(about) <= 1
    assert not [line for line in caplog.records if line.name.startswith("opentelemetry")]


@pytest.mark.slow
def test_spans_cost_nothing_and_import_nothing_without_a_collector() -> None:
    """The API and a run do not import OpenTelemetry; a span takes some microseconds."""
    program = """
import sys, time
import api.app, ytcaption_assets.definitions
from resources.telemetry.spans import span, record_span, traced
began = time.perf_counter()
for _ in range(10_000):
    with span("a", {"b": 1}):
        pass
took = (time.perf_counter() - began) / 10_000
assert took < 50e-6, took
print(sorted(name for name in sys.modules if name.startswith("opentelemetry.sdk")))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def test_nothing_is_recorded_outside_of_all_traces(collector: OtlpReceiver) -> None:
    """A statement of a background thread starts no trace."""
    telemetry.start_telemetry(collector.endpoint, "test")
    with telemetry.span("alone"):
        assert current_trace() is None
    with in_trace(TraceContext(TRACE_ID, SPAN_ID)), telemetry.span("below") as below:
        below.set({"a": None})
    telemetry.stop_telemetry()
    assert [span.name for span in collector.spans] == ["below"]


def test_a_collectors_address_gets_the_path_of_traces() -> None:
    """As with `OTEL_EXPORTER_OTLP_ENDPOINT` of other programs; an explicit path stays."""
    assert traces_url("http://127.0.0.1:4318") == "http://127.0.0.1:4318/v1/traces"
    assert traces_url("http://host:4318/") == "http://host:4318/v1/traces"
    assert traces_url("https://host/otlp/v1/traces") == "https://host/otlp/v1/traces"
