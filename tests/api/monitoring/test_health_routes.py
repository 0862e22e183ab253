"""Liveness and readiness probes."""

import threading
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.monitoring.readiness import CHECK_TIMEOUT_S, Readiness
from tests.api.conftest import BASE_URL, DatabaseSwitch, Start, World
from tests.support.clock import Clock, clock  # noqa: F401 - a fixture
from tests.support.patience import wait_for
from ytcaption.settings.settings import Settings


def test_the_process_is_alive(client: TestClient) -> None:
    """Nothing else is checked."""
    answer = client.get("/healthz")

    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


@pytest.mark.long
def test_ready_with_every_dependency(settings: Settings, dagster_home: Path) -> None:
    """Postgres, the object store and Dagster's storage answer."""
    with TestClient(create_app(settings), base_url=BASE_URL) as client:

        def dagster_is_ready() -> bool:
            return client.get("/readyz").json()["dependencies"]["dagster_storage"]["ready"]

        # Dagster's first start makes its tables, which takes longer than a check may.
        wait_for(dagster_is_ready, 20)
        answer = client.get("/readyz")

    parts = answer.json()["dependencies"]
    assert answer.status_code == 200
    parts.pop("pipeline")  # no daemon ticks here
    assert {part: state["ready"] for part, state in parts.items()} == {
        "postgres": True,
        "object_store": True,
        "dagster_storage": True,
    }


def test_without_dagster_it_stays_ready(client: TestClient) -> None:
    """Requests are still accepted, so the status stays 200 and the reason is given."""
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["dependencies"]["dagster_storage"]["ready"] is False
    assert answer.json()["dependencies"]["dagster_storage"]["reason"]


@pytest.mark.slow
def test_not_ready_without_postgres(database_switch: DatabaseSwitch) -> None:
    """503 with a reason that names no host, and 200 again once it is back."""
    with TestClient(create_app(database_switch.settings), base_url=BASE_URL) as client:
        assert client.get("/readyz").status_code == 200
        database_switch.off()
        answer = client.get("/readyz")
        database_switch.on()
        wait_for(lambda: client.get("/readyz").status_code == 200, 20)

    part = answer.json()["dependencies"]["postgres"]
    assert (answer.status_code, part["ready"], part["required"]) == (503, False, True)
    assert "database" in part["reason"] or "no answer" in part["cause"]
    assert "/tmp" not in answer.text
    assert answer.headers["Retry-After"] == "5"


def test_not_ready_without_the_object_store(settings: Settings, tmp_path: Path) -> None:
    """An unreadable store is reported, without its path."""
    (tmp_path / "file").write_text("")
    broken = settings.changed(object_store_url=str(tmp_path / "file" / "objects"))
    with TestClient(create_app(broken), base_url=BASE_URL) as client:
        answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["dependencies"]["object_store"]["ready"] is False
    assert str(tmp_path) not in answer.text


def test_a_hanging_dependency_is_checked_once_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Checks end on time, and a hanging probe is not started again."""
    monkeypatch.setattr("api.monitoring.readiness.CHECK_TIMEOUT_S", 0.2)
    started, release = [], threading.Event()

    def hang() -> str | None:
        started.append(1)
        release.wait(10)
        return None

    readiness = Readiness({"slow": hang, "quick": lambda: None, "broken": lambda: 1 / 0})  # type: ignore
    before = time.monotonic()
    checks = [readiness.check() for _ in range(3)][-1]
    took_s = time.monotonic() - before
    release.set()

    assert took_s < 3
    assert len(started) == 1
    assert checks["quick"].ready
    assert checks["slow"].reason == "no answer within 0.2 s"
    assert checks["broken"].reason == "it failed with ZeroDivisionError"
    assert CHECK_TIMEOUT_S == 2.0


def test_a_pipeline_that_stands_still_is_reported(clock: Clock, world: World, start: Start) -> None:
    """Requests are still accepted, so the status stays 200; the metrics say so, too."""
    world.queued()
    client = start(standstill_s=30)
    wait_for(lambda: client.get("/readyz").json()["dependencies"]["pipeline"]["ready"])
    clock.forward(60)
    answer = client.get("/readyz")
    pipeline = answer.json()["dependencies"]["pipeline"]
    assert (answer.status_code, pipeline["ready"], pipeline["required"]) == (200, False, False)
    assert "no run has started" in pipeline["reason"]
    assert 'ytcaption_standstill_seconds{part="transcriptions"}' in client.get("/metrics").text
