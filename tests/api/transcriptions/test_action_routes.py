"""Cancel, retry, erase and pin over HTTP."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dagster as dg
import pytest
from fastapi.testclient import TestClient

from api.transcriptions import actions
from resources.lake.catalog import TranscriptCatalog
from resources.maintenance.erasure import Erasure
from resources.object_store.store import document_key
from resources.orchestration.orchestrator import Orchestrator
from resources.transcriptions.reads import get_transcription
from tests.api.conftest import RUN_ID, UNKNOWN_ID, World
from tests.api.keys import Keys, Name
from tests.support.patience import patience, wait_for
from tests.support.transcription_events import transcription_events
from ytcaption.domain.caller import Limits
from ytcaption.domain.errors import ClaimLost, LakeUnavailable
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions

PATH = "/api/v1/transcriptions"


@pytest.fixture
def erasable(dagster_home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Provide Dagster's storage, and skip the lake."""
    monkeypatch.setattr(TranscriptCatalog, "erase", lambda *_: None)
    home = str(dagster_home)
    # The client takes DAGSTER_HOME away; the instance is opened when first needed.
    monkeypatch.setattr(dg.DagsterInstance, "get", lambda: dg.DagsterInstance.from_config(home))


def submit(world: World, owner: str = "local") -> str:
    """Return an id that this owner requested."""
    source = MediaSource("youtube-dQw4w9WgXcQ", "site", "https://youtu.be/dQw4w9WgXcQ", "Youtube")
    options = TranscriptionOptions(model="base")
    return world.request_store.submit(source, options, owner=owner).transcription.id


# --- cancel


@pytest.mark.parametrize("state", ["queued", "running"])
def test_cancel_stops_it(client: TestClient, world: World, state: str) -> None:
    """200 with the new state; late commits of the run are refused; a repetition changes nothing."""
    id = getattr(world, state)()

    answer = client.post(f"{PATH}/{id}/cancel")

    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert (answer.json()["status"], answer.json()["effect"]) == ("canceled", "canceled")
    assert client.get(f"{PATH}/{id}").json()["status"] == "canceled"
    with pytest.raises(ClaimLost):
        world.run_store.heartbeat(id, RUN_ID)
    again = client.post(f"{PATH}/{id}/cancel").json()
    assert (again["status"], again["effect"]) == ("canceled", "unchanged")


@pytest.mark.parametrize(("state", "status"), [("completed", "completed"), ("failed", "failed")])
def test_cancel_leaves_finished_ones(
    client: TestClient, world: World, state: str, status: str
) -> None:
    """A result stays readable, a failure keeps its reason."""
    id = getattr(world, state)()

    answer = client.post(f"{PATH}/{id}/cancel").json()

    assert (answer["status"], answer["effect"]) == (status, "unchanged")
    assert client.get(f"{PATH}/{id}/result").status_code == (200 if state == "completed" else 409)


@pytest.mark.long
def test_cancel_ends_the_run_in_dagster(
    client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run that works on it, and none if nothing was stopped."""
    ended: list[tuple[Any, ...]] = []
    monkeypatch.setattr(Orchestrator, "end_runs", lambda _, *run: ended.append(run))
    id = world.running()
    client.post(f"{PATH}/{id}/cancel")
    client.post(f"{PATH}/{id}/cancel")
    wait_for(lambda: ended, 5)
    assert ended == [(id, 1, RUN_ID)]


@pytest.mark.long
def test_cancel_does_not_wait_for_dagster(
    client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hanging storage delays no request, however many are canceled."""
    monkeypatch.setattr(Orchestrator, "end_runs", lambda *_: time.sleep(30))
    id = world.running()
    began = time.monotonic()
    for _ in range(20):
        assert client.post(f"{PATH}/{id}/cancel").json()["status"] == "canceled"
        client.post(f"{PATH}/{id}/retry")
    assert time.monotonic() - began < 10 * patience()


def test_one_of_several_requesters_only_withdraws(
    keys: Keys, client: TestClient, world: World
) -> None:
    """It continues for the other, who then cancels it; who withdrew no longer sees it."""
    id = submit(world, keys.owner("anna"))
    submit(world, keys.owner("bert"))
    world.run_store.claim(id, RUN_ID)

    answer = client.post(f"{PATH}/{id}/cancel", headers=keys.header("anna"))

    assert (answer.json()["status"], answer.json()["effect"]) == ("running", "withdrawn")
    assert client.get(f"{PATH}/{id}", headers=keys.header("anna")).status_code == 404
    assert client.get(f"{PATH}/{id}", headers=keys.header("bert")).json()["status"] == "running"
    events = [event.event_type for event in transcription_events(world.request_store.postgres, id)]
    assert events[-1] == "RequestWithdrawn"
    last = client.post(f"{PATH}/{id}/cancel", headers=keys.header("bert")).json()
    assert (last["status"], last["effect"]) == ("canceled", "canceled")


@pytest.mark.parametrize("action", ["cancel", "delete"])
def test_the_link_of_who_withdraws_is_not_used(
    keys: Keys, client: TestClient, world: World, action: str, erasable: None
) -> None:
    """It may be signed for them: the next download uses one of the remaining requesters."""
    link = "https://cdn.example.org/talk.mp3"
    for name, url in (("bert", link), ("anna", f"{link}?X-Amz-Signature=annas")):
        body = {"url": url, "model": "base"}
        id = client.post(PATH, json=body, headers=keys.header(name)).json()["id"]
    call = ("POST", f"{PATH}/{id}/cancel") if action == "cancel" else ("DELETE", f"{PATH}/{id}")
    assert client.request(*call, headers=keys.header("anna")).is_success
    media = world.request_store.postgres.rows("select url from ytcaption.media", {})
    assert media == [{"url": link}]


def test_an_admins_cancel_stops_it_for_everybody(
    keys: Keys, client: TestClient, world: World
) -> None:
    """It does not matter which key requested it."""
    id = submit(world, keys.owner("anna"))
    submit(world, keys.owner("bert"))
    answer = client.post(f"{PATH}/{id}/cancel", headers=keys.header("admin")).json()
    assert (answer["status"], answer["effect"]) == ("canceled", "canceled")


# --- retry


@pytest.mark.parametrize("state", ["failed", "canceled"])
def test_retry_queues_again(client: TestClient, world: World, state: str) -> None:
    """The answer is 202 with the links, and a new series of attempts begins."""
    id = world.failed() if state == "failed" else world.running()
    client.post(f"{PATH}/{id}/cancel")

    answer = client.post(f"{PATH}/{id}/retry")

    body = answer.json()
    assert (answer.status_code, body["status"]) == (202, "queued")
    assert (body["attempt"], body["error"]) == (1, None)
    assert answer.headers["Location"] == body["status_url"] == f"{PATH}/{id}"
    assert answer.headers["Retry-After"] == "2"
    assert world.request_store.due(10)[0].attempt == 2, "Dagster has not seen this run key"


def test_retry_of_what_is_queued_changes_nothing(client: TestClient, world: World) -> None:
    """It is queued already."""
    id = world.queued()
    assert client.post(f"{PATH}/{id}/retry").json()["status"] == "queued"
    assert world.request_store.due(10)[0].attempt == 1


def test_retry_of_what_runs_is_refused(client: TestClient, world: World) -> None:
    """The status is 409, with or without force."""
    id = world.running()
    for query in ("", "?force=true"):
        answer = client.post(f"{PATH}/{id}/retry{query}")
        assert (answer.status_code, answer.json()["code"]) == (409, "transcription_busy")


def test_force_transcribes_a_completed_one_again(client: TestClient, world: World) -> None:
    """409 without it, and the result stays; with it, it is downloaded and transcribed again."""
    id = world.completed()
    refused = client.post(f"{PATH}/{id}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "already_completed")
    assert "force" in refused.json()["detail"]
    assert client.get(f"{PATH}/{id}/result").status_code == 200

    assert client.post(f"{PATH}/{id}/retry?force=true").json()["status"] == "queued"

    assert client.get(f"{PATH}/{id}/result").status_code == 409
    assert client.get(f"{PATH}/{id}/audio").status_code == 409


def test_force_discards_no_result_of_others(keys: Keys, client: TestClient, world: World) -> None:
    """403 for one of two requesters; an admin may."""
    id = world.completed()
    for name in ("anna", "bert"):
        submit(world, keys.owner(name))
    url = f"{PATH}/{id}/retry?force=true"
    answer = client.post(url, headers=keys.header("anna"))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert client.get(f"{PATH}/{id}/result", headers=keys.header("bert")).status_code == 200
    assert client.post(url, headers=keys.header("admin")).status_code == 202


def test_retry_respects_the_quota(
    keys: Keys, client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is 429 as for a request, and nothing changes."""
    monkeypatch.setattr("api.transcriptions.actions.limits_of", lambda *_: Limits(None, 1, None))
    id = submit(world, keys.owner("anna"))
    client.post(f"{PATH}/{id}/cancel", headers=keys.header("anna"))
    other = MediaSource("youtube-other", "site", "https://youtu.be/other", "Youtube")
    world.request_store.submit(other, TranscriptionOptions("base"), owner=keys.owner("anna"))
    answer = client.post(f"{PATH}/{id}/retry", headers=keys.header("anna"))
    assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
    assert get_transcription(world.request_store.postgres, id).status == "canceled"


# --- erase


@pytest.mark.long
def test_what_was_erased_is_410(client: TestClient, world: World, erasable: None) -> None:
    """204 without a body, 410 on every route, 204 again; a new request transcribes it again."""
    id = world.completed()

    answer = client.delete(f"{PATH}/{id}")

    assert (answer.status_code, answer.content) == (204, b"")
    for gone in (
        client.get(f"{PATH}/{id}"),
        client.get(f"{PATH}/{id}/result"),
        client.get(f"{PATH}/{id}/audio"),
        client.post(f"{PATH}/{id}/cancel"),
        client.post(f"{PATH}/{id}/retry"),
    ):
        assert (gone.status_code, gone.json()["code"]) == (410, "transcription_erased")
    assert not world.object_store.exists(document_key(id))
    assert client.delete(f"{PATH}/{id}").status_code == 204
    assert client.get(PATH).json()["items"] == []

    again = client.post(PATH, json={"url": "https://youtu.be/dQw4w9WgXcQ", "model": "base"})
    assert (again.status_code, again.json()["id"]) == (202, id)
    assert client.get(f"{PATH}/{id}").json()["status"] == "queued"


def test_a_running_one_is_erased_by_force(client: TestClient, world: World, erasable: None) -> None:
    """409 without it; with it the run loses its claim."""
    id = world.running()
    refused = client.delete(f"{PATH}/{id}")
    assert (refused.status_code, refused.json()["code"]) == (409, "transcription_busy")
    assert client.delete(f"{PATH}/{id}?force=true").status_code == 204
    with pytest.raises(ClaimLost):
        world.run_store.complete(id, RUN_ID)


@pytest.mark.long
def test_an_unreachable_lake_is_503_and_the_erasure_can_be_repeated(
    client: TestClient, world: World, erasable: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads are 410 from the first attempt on."""
    id = world.completed()

    def away(*_: object) -> None:
        raise LakeUnavailable("host lake.internal is away")

    with monkeypatch.context() as patch:
        patch.setattr(TranscriptCatalog, "erase", away)
        answer = client.delete(f"{PATH}/{id}")
    assert (answer.status_code, answer.json()["code"]) == (503, "lake_unavailable")
    assert answer.headers["Retry-After"] == "5"
    assert "internal" not in answer.text
    assert client.get(f"{PATH}/{id}").status_code == 410
    assert client.delete(f"{PATH}/{id}").status_code == 204


def test_without_dagsters_storage_an_erasure_is_503(client: TestClient, world: World) -> None:
    """Its runs hold parts of the text, so it is not erased before they are."""
    answer = client.delete(f"{PATH}/{world.completed()}")
    assert (answer.status_code, answer.json()["code"]) == (503, "dagster_unavailable")


@pytest.mark.long
def test_one_of_several_requesters_erases_only_their_own(
    keys: Keys, client: TestClient, world: World, erasable: None
) -> None:
    """204, then 410 to them, as if nobody else had it; the other's result stays until they erase
    it."""
    id = submit(world, keys.owner("anna"))
    world.completed()
    with world.request_store.postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.request set owner = %s where owner = 'local'", (keys.owner("bert"),)
        )
    url = f"{PATH}/{id}"
    assert client.delete(url, headers=keys.header("anna")).status_code == 204
    assert client.get(url, headers=keys.header("anna")).status_code == 410
    assert client.get(f"{url}/result", headers=keys.header("bert")).status_code == 200
    assert client.delete(url, headers=keys.header("bert")).status_code == 204
    assert client.get(url, headers=keys.header("bert")).status_code == 410


# --- who may


@pytest.mark.parametrize(
    ("method", "route"), [("post", "/cancel"), ("post", "/retry"), ("delete", "")]
)
def test_only_requesters_may(
    keys: Keys, client: TestClient, world: World, method: str, route: str
) -> None:
    """404 to others, 403 without the scope, 401 without a key; nothing changes."""
    id = submit(world, keys.owner("anna"))
    expected: list[tuple[Name, int, str]] = [
        ("clara", 404, "transcription_not_found"),
        ("reader", 403, "forbidden"),
    ]
    for name, status, code in expected:
        answer = client.request(method, f"{PATH}/{id}{route}", headers=keys.header(name))
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert client.request(method, f"{PATH}/{id}{route}").status_code == 401
    assert get_transcription(world.request_store.postgres, id).status == "queued"
    unknown = client.request(method, f"{PATH}/{UNKNOWN_ID}{route}", headers=keys.header("admin"))
    assert (unknown.status_code, unknown.json()["code"]) == (404, "transcription_not_found")


# --- pin


def test_each_requester_pins_for_themselves(keys: Keys, client: TestClient) -> None:
    """With the request or later; others neither see nor change it."""
    body = {"url": "https://youtu.be/dQw4w9WgXcQ", "pinned": True}
    id = client.post(PATH, json=body, headers=keys.header("anna")).json()["id"]
    client.post(PATH, json=body | {"pinned": False}, headers=keys.header("bert"))

    def pinned(name: Name) -> bool:
        return client.get(f"{PATH}/{id}", headers=keys.header(name)).json()["pinned"]

    assert (pinned("anna"), pinned("bert"), pinned("admin")) == (True, False, True)
    answer = client.patch(f"{PATH}/{id}", json={"pinned": False}, headers=keys.header("bert"))
    assert (answer.status_code, answer.json()["pinned"]) == (200, False)
    assert (pinned("anna"), pinned("admin")) == (True, True)
    client.patch(f"{PATH}/{id}", json={"pinned": False}, headers=keys.header("admin"))
    assert (pinned("anna"), pinned("admin")) == (False, False)


def test_pinned_is_a_boolean_of_ones_own_transcription(client: TestClient, world: World) -> None:
    """Anything else is refused."""
    id = submit(world)
    assert client.patch(f"{PATH}/{id}", json={"pinned": "yes"}).status_code == 422
    assert client.patch(f"{PATH}/{id}", json={}).status_code == 422
    assert client.patch(f"{PATH}/{UNKNOWN_ID}", json={"pinned": True}).status_code == 404
    assert client.patch(f"{PATH}/{id}", json={"pinned": True}).json()["pinned"] is True


def test_one_erasure_of_an_id_works_at_a_time(
    client: TestClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others wait without a thread or a connection, and answer 409 if it takes too long."""
    id = submit(world)
    started, release = threading.Event(), threading.Event()
    erased: list[str] = []

    def erase(_: Erasure, id: str, owner: str | None, *, force: bool) -> bool:
        erased.append(id)
        started.set()
        return release.wait(60)

    monkeypatch.setattr(Erasure, "erase", erase)
    monkeypatch.setattr(actions, "RUN_STOPS_S", 0.2)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(client.delete, f"{PATH}/{id}")
        assert started.wait(30)
        try:
            others = [threads.submit(client.delete, f"{PATH}/{id}") for _ in range(3)]
            codes = {other.result(30).json()["code"] for other in others}
        finally:
            release.set()

    assert codes == {"transcription_busy"}
    assert first.result().status_code == 204
    assert client.delete(f"{PATH}/{id}").status_code == 204
    assert erased == [id, id]
