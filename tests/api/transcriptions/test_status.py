"""The status of a transcription, and long polls."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from resources.transcriptions.listing import COUNTED
from tests.api.conftest import BASE_URL, RUN_ID, World, serving
from tests.api.keys import Keys
from tests.support.patience import patience
from ytcaption.settings.settings import Settings

PATH = "/api/v1/transcriptions"
URL = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"


def link(number: int) -> str:
    """Return the link of a video."""
    return f"https://www.youtube.com/watch?v={number:011d}"


@pytest.mark.long
def test_every_link_is_a_route(client: TestClient, world: World) -> None:
    """The links of a status and of an accepted request are routes of this API."""
    accepted = client.post(PATH, json={"url": URL}).json()
    status = client.get(f"{PATH}/{accepted['id']}").json()

    links = {name: value for name, value in status.items() if name.endswith("_url")}
    assert links == {
        "status_url": f"{PATH}/{accepted['id']}",
        "result_url": f"{PATH}/{accepted['id']}/result",
        "events_url": f"{PATH}/{accepted['id']}/events",
        "audio_url": f"{PATH}/{accepted['id']}/audio",
    }
    assert {name: accepted[name] for name in accepted if name.endswith("_url")}.items() <= (
        links.items()
    )
    paths = client.get("/openapi.json").json()["paths"]
    for value in links.values():
        assert value.replace(accepted["id"], "{id}") in paths


def test_the_position_counts_those_before(client: TestClient, world: World) -> None:
    """Interactive ones by age, then bulk ones; running and finished ones have none."""

    def post(number: int, priority: str) -> str:
        return client.post(PATH, json={"url": link(number), "priority": priority}).json()["id"]

    bulk, first, second = post(1, "bulk"), post(2, "interactive"), post(3, "interactive")

    def position(id: str) -> int | None:
        return client.get(f"{PATH}/{id}").json()["queue_position"]

    assert [position(id) for id in (first, second, bulk)] == [1, 2, 3]
    world.run_store.claim(first, RUN_ID)
    assert [position(id) for id in (first, second, bulk)] == [None, 1, 2]
    # Asked for again by somebody who waits for it, it comes before other bulk ones.
    post(1, "interactive")
    world.request_store.cancel(second)
    assert [position(id) for id in (second, bulk)] == [None, 1]


@pytest.mark.long
def test_the_position_is_counted_to_a_thousand(client: TestClient) -> None:
    """Any later position is 1,001."""
    items = [{"url": link(number)} for number in range(COUNTED)]
    client.post(f"{PATH}/batch", json={"items": items})
    ids = [client.post(PATH, json={"url": link(n), "priority": "bulk"}).json()["id"]
           for n in (2_000, 2_001)]  # fmt: skip
    positions = [client.get(f"{PATH}/{id}").json()["queue_position"] for id in ids]
    assert positions == [COUNTED + 1, COUNTED + 1]


def test_the_time_left_follows_from_the_stage_s_speed(client: TestClient, world: World) -> None:
    """Of this stage, not of the one before; none before its speed is known."""
    id, store = world.running(), world.run_store

    def shift(seconds: int) -> None:
        with store.postgres.transaction() as connection:
            connection.execute(
                "update ytcaption.transcription "
                "set stage_started_at = stage_started_at - make_interval(secs => %s)",
                (seconds,),
            )

    def eta_s() -> float | None:
        return client.get(f"{PATH}/{id}").json()["progress"]["eta_s"]

    store.progress(id, RUN_ID, "audio_download", 10.0, 1_000.0)
    shift(100)
    store.progress(id, RUN_ID, "audio_download", 500.0, 1_000.0)
    assert eta_s() == pytest.approx(100, abs=2)
    store.progress(id, RUN_ID, "transcription", 0.0, 120.0)
    assert eta_s() is None
    shift(10)
    store.progress(id, RUN_ID, "transcription", 30.0, 120.0)
    assert eta_s() == pytest.approx(30, abs=2)
    with store.postgres.transaction() as connection:  # the report is 20 s old, then a minute
        connection.execute(
            "update ytcaption.transcription set updated_at = updated_at - interval '20 s', "
            "stage_started_at = stage_started_at - interval '20 s'"
        )
    assert eta_s() == pytest.approx(10, abs=2)


def test_metadata_is_of_the_latest_request(client: TestClient) -> None:
    """It is returned as it was sent."""
    values: dict[str, Any] = {"ticket": 4711, "tags": ["ä", None, 1.5], "deep": {"x": {}}}
    id = client.post(PATH, json={"url": URL, "metadata": {"old": 1}}).json()["id"]
    time.sleep(0.002)  # ids of requests are in the order of milliseconds
    client.post(PATH, json={"url": URL, "metadata": values})
    assert client.get(f"{PATH}/{id}").json()["metadata"] == values


def test_provenance_comes_with_the_result(client: TestClient, world: World) -> None:
    """Engine, model, weights and audio of a completed one; none while it is transcribed again."""
    id = world.completed()
    body = client.get(f"{PATH}/{id}").json()
    assert body["provenance"] == {
        "source": "asr",
        "engine": "faster-whisper",
        "engine_version": "1.2.1",
        "model": "base",
        "model_revision": "ab" * 32,
        "device": "cpu",
        "compute_type": "int8",
        "audio_sha256": "cd" * 32,
        "created_at": "2026-11-24T10:00:00Z",
        "captions": None,
    }
    world.run_store.claim(id, "run-2")
    assert client.get(f"{PATH}/{id}").json()["provenance"] is None


@pytest.mark.long
def test_waiting_ends_with_the_transcription(server_url: str, world: World) -> None:
    """The response comes when it ends, well before the time is up."""
    id = world.running()
    with httpx.Client(base_url=server_url, timeout=30) as client:
        threading.Timer(0.5, world.run_store.fail, (id, RUN_ID, "x", "y", False, 1)).start()
        began = time.monotonic()
        answer = client.get(f"{PATH}/{id}", params={"wait": 20})
        took_s = time.monotonic() - began

        assert answer.json()["status"] == "failed"
        assert 0.4 < took_s < 5
        assert client.get(f"{PATH}/{id}?wait=60").elapsed.total_seconds() < 5


@pytest.mark.long
def test_waiting_ends_in_time(client: TestClient, world: World) -> None:
    """The response is the state at that time, with Retry-After; HEAD does the same."""
    id = world.running()
    began = time.monotonic()
    answer = client.get(f"{PATH}/{id}?wait=1")

    assert 0.9 < time.monotonic() - began < 4 * patience()
    assert (answer.json()["status"], answer.headers["Retry-After"]) == ("running", "2")
    for wait in ("61", "-1", "x"):
        assert client.get(f"{PATH}/{id}", params={"wait": wait}).status_code == 422


@pytest.mark.slow
def test_two_hundred_may_wait(settings: Settings, world: World) -> None:
    """They occupy no threads: others are answered meanwhile, and all of them see the end."""
    id = world.running()
    limits = httpx.Limits(max_connections=None)
    with (
        serving(settings.changed(streams_per_caller=1_000)) as url,
        httpx.Client(base_url=url, limits=limits, timeout=60) as client,
        ThreadPoolExecutor(200) as threads,
    ):
        waiting = [threads.submit(client.get, f"{PATH}/{id}?wait=50") for _ in range(200)]
        time.sleep(2)
        assert not any(each.done() for each in waiting)
        assert client.get(f"{PATH}/{id}").elapsed.total_seconds() < 2
        world.run_store.fail(id, RUN_ID, "x", "y", False, 1)
        answers = [each.result(30).json() for each in waiting]

    assert {answer["status"] for answer in answers} == {"failed"}


@pytest.mark.slow
def test_too_many_long_polls_are_refused(settings: Settings, keys: Keys, world: World) -> None:
    """They count as streams; requests without waiting are not limited."""
    one = settings.changed(streams_per_caller=1)
    with (
        serving(one) as url,
        httpx.Client(base_url=url, headers=keys.header("anna"), timeout=30) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        id = client.post(PATH, json={"url": URL}).json()["id"]
        waiting = threads.submit(client.get, f"{PATH}/{id}?wait=3")
        time.sleep(1)
        refused = client.get(f"{PATH}/{id}?wait=3")
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert client.get(f"{PATH}/{id}").status_code == 200
        assert waiting.result().status_code == 200
        assert client.get(f"{PATH}/{id}?wait=1").status_code == 200


def test_another_callers_transcription_is_404(settings: Settings, keys: Keys) -> None:
    """An id is not a secret: who has not requested it gets 404, waiting or not."""
    with TestClient(create_app(settings), base_url=BASE_URL) as client:
        id = client.post(PATH, json={"url": URL}, headers=keys.header("anna")).json()["id"]
        for query in ("", "?wait=5"):
            hidden = client.get(f"{PATH}/{id}{query}", headers=keys.header("bert"))
            assert (hidden.status_code, hidden.json()["code"]) == (404, "transcription_not_found")
        assert client.get(f"{PATH}/{id}", headers=keys.header("admin")).status_code == 200
        client.post(PATH, json={"url": URL}, headers=keys.header("bert"))
        assert client.get(f"{PATH}/{id}", headers=keys.header("bert")).status_code == 200
