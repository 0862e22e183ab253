"""Versions of a media item, and retranscription."""

from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from resources.object_store.store import document_key
from resources.transcriptions.reads import get_media
from tests.api.conftest import World
from tests.api.keys import Keys
from tests.support.transcripts import transcript_of
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions, partition_key

MEDIA = "youtube-dQw4w9WgXcQ"
PATH = f"/api/v1/media/{MEDIA}"
BASE = TranscriptionOptions("base")
SMALL = TranscriptionOptions("small")


def make_version(
    world: World, options: TranscriptionOptions, text: str | None, *owners: str
) -> str:
    """Return an id that these owners requested, completed if there is a text."""
    source = MediaSource(MEDIA, "site", "https://www.youtube.com/watch?v=dQw4w9WgXcQ", "Youtube")
    for owner in owners or ("local",):
        id = world.request_store.submit(source, options, owner=owner).transcription.id
    if text is None:
        return id
    run_id = f"run-{id}"
    world.run_store.claim(id, run_id)
    transcript = transcript_of(id, [text])
    written = world.object_store.write_bytes(document_key(id), transcript.to_json())
    world.run_store.transcript_stored(id, run_id, transcript, document_key(id), written.sha256)
    world.run_store.complete(id, run_id)
    return id


def test_the_newest_completed_version_is_served(client: TestClient, world: World) -> None:
    """Whatever was requested since; older ones stay under their own ids."""
    base, small = make_version(world, BASE, "Of old."), make_version(world, SMALL, "Of late.")
    waiting = make_version(world, replace(SMALL, language="en"), None)

    media = client.get(PATH).json()
    assert (media["versions"], media["completed"], media["latest"]) == (3, 2, small)
    assert media["media"]["id"] == MEDIA
    listed = client.get(media["versions_url"]).json()["items"]
    assert [item["id"] for item in listed] == [waiting, small, base]
    latest = client.get(media["latest_url"], params={"format": "txt"})
    assert latest.text == "Of late.\n"
    own = latest.headers["Content-Location"]
    assert own.endswith(f"{small}/result")
    same = client.get(own, params={"format": "txt"})
    assert (same.text, same.headers["ETag"]) == (latest.text, latest.headers["ETag"])
    unchanged = client.get(media["latest_url"], params={"format": "txt"}, headers={
        "If-None-Match": latest.headers["ETag"]
    })  # fmt: skip
    assert unchanged.status_code == 304
    assert client.get(f"/api/v1/transcriptions/{base}/result?format=txt").text == "Of old.\n"


def test_a_version_that_is_transcribed_again_is_the_newest(
    client: TestClient, world: World
) -> None:
    """Versions are ordered by completion, not by their first request."""
    base = make_version(world, BASE, "First.")
    make_version(world, SMALL, "Second.")
    source = get_media(world.request_store.postgres, MEDIA).source
    world.request_store.submit(source, BASE, force=True)
    assert client.get(f"{PATH}/versions/latest?format=txt").text == "Second.\n"
    make_version(world, BASE, "Third.")
    assert client.get(f"{PATH}/versions/latest?format=txt").text == "Third.\n"
    assert client.get(PATH).json()["latest"] == base


def test_versions_come_page_by_page(client: TestClient, world: World) -> None:
    """`next_url` belongs to the same list."""
    for word in ("a", "b", "c"):
        make_version(world, replace(BASE, hotwords=word), None)
    first = client.get(f"{PATH}/versions", params={"limit": 2}).json()
    second = client.get(first["next_url"]).json()
    assert [len(first["items"]), len(second["items"])] == [2, 1]
    assert second["next_url"] is None
    assert len({item["id"] for item in first["items"] + second["items"]}) == 3


def test_no_completed_version_is_409_and_an_unknown_media_404(
    client: TestClient, world: World
) -> None:
    """This holds for every route of a media item."""
    make_version(world, BASE, None)
    assert client.get(f"{PATH}/versions/latest").status_code == 409
    assert client.get(PATH).json()["latest"] is None
    for unknown in ("youtube-unknown", "..", "a b", "x" * 200, "youtube-a.b"):
        for route in ("", "/versions", "/versions/latest"):
            answer = client.get(f"/api/v1/media/{unknown}{route}")
            assert answer.status_code == 404, answer.text


def test_callers_see_their_own_versions(keys: Keys, client: TestClient, world: World) -> None:
    """The newest is the newest of one's own."""
    anna, bert = keys.owner("anna"), keys.owner("bert")
    base = make_version(world, BASE, "Shared.", anna, bert)
    small = make_version(world, SMALL, "Of Bert alone.", bert)

    def latest(name) -> tuple[int, str]:
        answer = client.get(f"{PATH}/versions/latest?format=txt", headers=keys.header(name))
        return answer.status_code, answer.text

    assert latest("anna") == (200, "Shared.\n")
    assert latest("bert") == latest("admin") == (200, "Of Bert alone.\n")
    assert latest("clara")[0] == 404
    for name, seen in (("anna", [base]), ("bert", [small, base]), ("admin", [small, base])):
        answer = client.get(f"{PATH}/versions", headers=keys.header(name)).json()
        assert [item["id"] for item in answer["items"]] == seen
        assert client.get(PATH, headers=keys.header(name)).json()["versions"] == len(seen)
    assert client.get(PATH, headers=keys.header("clara")).status_code == 404


def test_an_erased_version_does_not_count(client: TestClient, world: World) -> None:
    """It is neither counted nor the latest from the start of its erasure."""
    make_version(world, BASE, "Stays.")
    small = make_version(world, SMALL, "Goes.")
    with world.request_store.postgres.transaction() as connection:
        connection.execute(
            "insert into ytcaption.tombstone (id_sha256) "
            "values (encode(sha256(convert_to(%s, 'UTF8')), 'hex'))",
            (small,),
        )
    assert client.get(f"{PATH}/versions/latest?format=txt").text == "Stays.\n"
    assert client.get(PATH).json()["versions"] == 1


def test_many_are_transcribed_again(keys: Keys, client: TestClient, world: World) -> None:
    """One's own; for an admin everybody's. A repeated request queues nothing twice."""
    anna, bert = keys.owner("anna"), keys.owner("bert")
    make_version(world, BASE, "One.", anna)
    make_version(world, replace(BASE, language="de"), "Zwei.", bert)
    body = {"where": "model = 'base'", "captions": "never"}

    def post(name, **more):
        return client.post("/api/v1/retranscriptions", json=body | more, headers=keys.header(name))

    plan = post("anna", dry_run=True).json()
    assert (plan["number"], plan["examined"], plan["dry_run"]) == (1, 1, True)
    assert plan["kinds"][0]["made_by"] == "base" and plan["audio_s"] > 0
    answer = post("anna").json()
    assert answer["ids"] == plan["ids"] == [
        partition_key(MEDIA, replace(BASE, captions="never"))
    ]  # fmt: skip
    found = client.get(f"/api/v1/transcriptions/{answer['ids'][0]}", headers=keys.header("anna"))
    assert (found.json()["status"], found.json()["priority"]) == ("queued", "bulk")
    everything = post("admin", limit=1).json()
    assert everything["number"] == 1 and everything["next_cursor"]
    rest = post("admin", cursor=everything["next_cursor"]).json()
    assert rest["next_cursor"] is None
    again = post("admin").json()
    assert (again["number"], again["excluded"]) == (
        0, [{"reason": "are there already", "number": 2}],
    )  # fmt: skip
    assert post("reader").status_code == 403


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid_option"),
        ({"where": "model = 'base'"}, 422, "invalid_option"),
        ({"where": "1=1", "captions": "never"}, 422, "invalid_option"),
        ({"where": "changed", "model": "huge"}, 422, "unknown_model"),
        ({"where": "changed", "colour": 1}, 422, "invalid_request"),
        ({"where": "x" * 2_001}, 422, "invalid_request"),
        ({"where": "changed", "cursor": "x"}, 400, "invalid_cursor"),
        ({"where": "changed", "limit": 0}, 422, "invalid_request"),
    ],
)
def test_invalid_retranscriptions_are_refused(client: TestClient, body, status, code) -> None:
    """The codes are those of other routes."""
    answer = client.post("/api/v1/retranscriptions", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_nothing_is_transcribed_again_while_intake_is_paused(
    client: TestClient, world: World
) -> None:
    """A dry run is still answered."""
    make_version(world, BASE, "One.")
    client.post("/api/v1/admin/pause", json={"part": "intake"})
    body = {"where": "model = 'base'", "captions": "never"}
    assert client.post("/api/v1/retranscriptions", json=body).status_code == 503
    body["dry_run"] = True  # type: ignore[assignment]
    assert client.post("/api/v1/retranscriptions", json=body).json()["number"] == 1
