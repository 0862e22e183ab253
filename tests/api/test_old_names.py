"""Names of the previous release: accepted in requests, delivered in responses, deprecated."""

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from api.transcriptions.batch import BatchRequest
from api.transcriptions.idempotency import idempotency
from api.transcriptions.request_schemas import RequestOptions, TranscriptionRequest, UploadOptions
from resources.channels.intake import ChannelIntake
from resources.channels.runs import ChannelRuns
from tests.api.conftest import RUN_ID, Start, World
from tests.api.uploads.bodies import JFK, UPLOADS
from tests.support.channel_lists import page
from tests.support.servers.channel_host import ChannelHost

PATH = "/api/v1/transcriptions"
LINK = "https://youtu.be/dQw4w9WgXcQ"
CHANNEL = "https://www.youtube.com/channel/UC5NOEUbkLheQcaaRldYW5GA"


@pytest.mark.parametrize("name", ["pinned", "keep"])
@pytest.mark.long
def test_pinned_was_keep(client: TestClient, name: str) -> None:
    """In a request, an upload by query and by form, and a change; responses have both."""
    url = client.post(PATH, json={"url": LINK, name: True}).json()["status_url"]
    bare = client.post(f"{UPLOADS}?{name}=true&model=tiny", content=JFK)
    form = client.post(UPLOADS, files={"file": JFK}, data={name: "true", "model": "base"})
    for status_url in (url, bare.json()["status_url"], form.json()["status_url"]):
        status = client.get(status_url).json()
        assert (status["pinned"], status["keep"]) == (True, True)
    changed = client.patch(url, json={name: False}).json()
    assert (changed["pinned"], changed["keep"]) == (False, False)
    wrong = client.patch(url, json={name: "x"})
    assert wrong.json()["errors"][0]["pointer"] == f"#/{name}"


def test_a_field_is_not_given_under_both_names(client: TestClient) -> None:
    """The old one is then unknown."""
    answer = client.post(PATH, json={"url": LINK, "pinned": True, "keep": False})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_url_was_youtube_url(client: TestClient) -> None:
    """Both have the same meaning."""
    ids = {client.post(PATH, json={name: LINK}).json()["id"] for name in ("url", "youtube_url")}
    assert len(ids) == 1


def test_a_batch_has_its_old_path(client: TestClient) -> None:
    """The old path has the same limit of the body."""
    items = [{"url": LINK, "keep": True, "metadata": {"x": "y" * 3_000}}] * 50
    answer = client.post(f"{PATH}:batch", json={"items": items})
    assert (answer.status_code, answer.json()["accepted"]) == (207, 50)
    same = client.post(f"{PATH}/batch", json={"items": items[:1]}).json()["items"][0]
    assert same["transcription"]["id"] == answer.json()["items"][0]["transcription"]["id"]


def test_versions_have_their_old_paths(client: TestClient, world: World) -> None:
    """They list and render the same."""
    id = world.completed()
    media = f"/api/v1/media/{id.partition('.')[0]}"
    assert client.get(f"{media}/transcripts").json() == client.get(f"{media}/versions").json()
    old, new = (client.get(f"{media}/{name}/latest") for name in ("transcripts", "versions"))
    assert old.status_code == 200
    assert (old.text, old.headers["ETag"]) == (new.text, new.headers["ETag"])


@pytest.mark.parametrize("name", ["max_items", "max_new"])
def test_max_items_was_max_new(client: TestClient, name: str) -> None:
    """On creation and on change; responses have both."""
    channel = client.post("/api/v1/channels", json={"url": CHANNEL, name: 3}).json()
    assert (channel["max_items"], channel["max_new"]) == (3, 3)
    changed = client.patch(channel["channel_url"], json={name: None}).json()
    assert (changed["max_items"], changed["max_new"]) == (None, None)
    refused = client.patch(channel["channel_url"], json={name: 0})
    assert refused.json()["errors"][0]["pointer"] == f"#/{name}"


def test_missing_was_gone(client: TestClient, world: World) -> None:
    """The filter accepts both, counts have both, an item has the new one."""
    channel = client.post("/api/v1/channels", json={"url": CHANNEL}).json()
    postgres = world.request_store.postgres
    runs, intake = ChannelRuns(postgres=postgres), ChannelIntake(postgres=postgres)
    runs.claim(channel["id"], RUN_ID)
    intake.add_page(channel["id"], RUN_ID, page(range(2)), is_history=True)
    runs.complete(channel["id"], RUN_ID)
    with postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.channel_item set state = 'gone', reason = 'private' "
            "where media_id = (select min(media_id) from ytcaption.channel_item)"
        )

    counts = client.get(channel["channel_url"]).json()["items"]
    assert (counts["missing"], counts["gone"]) == (1, 1)
    for name in ("missing", "gone"):
        [item] = client.get(channel["items_url"], params={"state": name}).json()["items"]
        assert item["state"] == "missing"


@pytest.mark.long
def test_a_dry_run_has_its_old_fields(start: Start) -> None:
    """The response has `taken`, `left_out` and `whole` beside their new names."""
    client = start(allowed_networks=["127.0.0.0/8"])
    with ChannelHost() as host:
        body = {"url": host.podcast("news", 3), "filters": {"title_exclude": "Episode 1"}}
        run = client.post("/api/v1/channels/dry-run", json=body).json()
    assert len(run["included"]) == 2 and len(run["excluded"]) == 1
    assert run["taken"] == run["included"]
    assert run["left_out"] == run["excluded"]
    assert run["whole"] is run["is_complete"] is True


@pytest.mark.long
def test_a_retranscription_has_its_old_fields(client: TestClient, world: World) -> None:
    """The response has `looked_at` and `left_out` beside their new names."""
    world.completed()
    body = {"where": "model = 'base'", "captions": "prefer"}
    result = client.post("/api/v1/retranscriptions", json=body).json()
    assert result["looked_at"] == result["examined"] == 1
    assert result["left_out"] == result["excluded"] != []


def test_the_overview_has_its_old_field(client: TestClient) -> None:
    """The response has `resting` beside `throttled_sites`."""
    overview = client.get("/api/v1/admin/overview").json()
    assert overview["resting"] == overview["throttled_sites"] == []


def test_readiness_has_its_old_fields(client: TestClient) -> None:
    """The response has `took_ms` and `cause` beside their new names."""
    for state in client.get("/readyz").json()["dependencies"].values():
        assert state["took_ms"] == pytest.approx(state["took_s"] * 1000, abs=0.06)
        assert state["cause"] == state["reason"]


OLD_FIELDS = {
    "TranscriptionResponse": {"keep"},
    "CancelResponse": {"keep"},
    "TranscriptionRequest": {"youtube_url"},
    "ChannelResponse": {"max_new"},
    "ChannelItemCounts": {"gone"},
    "DryRunResponse": {"taken", "left_out", "whole"},
    "RetranscriptionResponse": {"looked_at", "left_out"},
    "OverviewResponse": {"resting"},
    "DependencyStatus": {"took_ms", "cause"},
}
OLD_OPERATIONS = {
    "createTranscriptionsOldPath",
    "listVersionsOldPath",
    "getLatestResultOldPath",
}


@pytest.mark.long
def test_old_names_are_deprecated_in_the_document(client: TestClient) -> None:
    """These and no others, each with the new name, which is a field of the same schema."""
    document = client.get("/openapi.json").json()
    deprecated: dict[str, set[str]] = {}
    for name, schema in document["components"]["schemas"].items():
        for field, value in schema.get("properties", {}).items():
            if value.get("deprecated"):
                deprecated.setdefault(name, set()).add(field)
                new_name = re.search(r"Old (?:name|form) of `(\w+)`", value["description"])
                assert new_name and new_name[1] in schema["properties"], (name, field)
    assert deprecated == OLD_FIELDS
    operations = [each for item in document["paths"].values() for each in item.values()]
    assert {each["operationId"] for each in operations if each.get("deprecated")} == OLD_OPERATIONS


@pytest.mark.parametrize(
    ("body", "more", "sha256"),
    [
        (
            TranscriptionRequest(url="https://youtu.be/a", pinned=True),
            (),
            "3e34d0ecd33f66f0d338b2edeff495ae612b56f2e50e2e449eb04bccfe43a5e1",
        ),
        (
            UploadOptions.model_validate({"pinned": True, "metadata": '{"a": 1}'}),
            ("0" * 64,),
            "f337be36024747da2046a8840021a372702827f5d6afc1cbd86900d3bb079583",
        ),
        (
            RequestOptions(temperature=0.2),
            ("0" * 64,),
            "d1990e24ea6a66ae0b2266ddac5c0c288ebf2fad1d59a8be09f4c7da2ee7d656",
        ),
        (
            BatchRequest(items=[{"url": "x", "keep": True}]),
            (),
            "850b6a0e1fae46ac1f62a11940e4f3174ead848a0b2190252b05cfedaf3b6f6b",
        ),
    ],
)
def test_an_idempotency_key_of_the_previous_release_still_matches(
    body: BaseModel, more: tuple[Any, ...], sha256: str
) -> None:
    """Its stored hash covers the old names of schemas and fields."""
    key = idempotency("k", body, *more)
    assert key is not None and key.body_sha256 == sha256
