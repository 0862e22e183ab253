"""Lists of transcriptions."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.api.conftest import BASE_URL, RUN_ID, World
from tests.api.keys import Keys
from ytcaption.domain.media.media import MediaInfo, MediaSource, StoredAudio
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings

PATH = "/api/v1/transcriptions"
AUDIO = StoredAudio("audio/a.webm", "0" * 64, 1_000, 11.0, "opus", "matroska,webm", 48_000, 2)


def add(store: RequestStore, name: str, *, language: str | None = None, **more: Any) -> str:
    """Return a queued one."""
    media_id = f"url-{name.replace(' ', '-').rstrip('%')}"
    source = MediaSource(media_id, "site", f"https://example.org/{media_id}", title=name)
    return store.submit(source, TranscriptionOptions("base", language), **more).transcription.id


def ids(body: dict[str, Any]) -> list[str]:
    """Return the ids of a page."""
    return [item["id"] for item in body["items"]]


def listed(client: TestClient, **query: Any) -> list[str]:
    """Return the ids of the first page."""
    answer = client.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return ids(answer.json())


def pages(client: TestClient, url: str) -> Iterator[dict[str, Any]]:
    """Yield each page as long as there is a next one."""
    next_url: str | None = url
    while next_url is not None:
        answer = client.get(next_url)
        body = answer.json()
        next_url = body["next_url"]
        link = answer.headers.get("Link")
        assert link == (None if next_url is None else f'<{next_url}>; rel="next"')
        yield body


def test_pages_hold_each_once_and_the_newest_first(
    client: TestClient, request_store: RequestStore
) -> None:
    """Also those of the same time, and whatever is requested meanwhile."""
    made = [add(request_store, f"a{number:02d}") for number in range(25)]
    with request_store.postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.transcription set created_at = '2026-11-24 10:00:00.123456+00' "
            "where id = any(%s)",
            (made[5:20],),
        )
    found: list[str] = []
    for body in pages(client, f"{PATH}?limit=4"):
        assert 1 <= len(body["items"]) <= 4
        found += ids(body)
        add(request_store, f"later{len(found)}")

    assert sorted(found) == sorted(made)
    assert found[:5] == made[:-6:-1]


def test_an_item_equals_its_status(client: TestClient, world: World) -> None:
    """All fields are equal, for each status."""
    world.completed()
    world.queued("youtube-aaaaaaaaaaa")

    for item in client.get(PATH).json()["items"]:
        assert client.get(item["status_url"]).json() == item


def test_an_empty_list_is_a_page(client: TestClient) -> None:
    """It has no next page."""
    answer = client.get(PATH)
    assert answer.json() == {"items": [], "next_cursor": None, "next_url": None}
    assert answer.headers["Cache-Control"] == "no-store"


def made_up(*parts: Any) -> str:
    """Return a cursor that no list issued."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


ID = f"youtube-aaaaaaaaaaa.{'a' * 26}"


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "%%%",
        "[]",
        made_up("2026-11-24T10:00:00", ID),
        made_up("2026-11-24T10:00:00+00:00", "'; drop table"),
        made_up("yesterday", ID),
        made_up(1, 2),
        made_up({}, []),
        made_up("2026-11-24T10:00:00+00:00", ID) + "=",
        made_up("2026-11-24T10:00:00+00:00", ID, 3),
        "W" * 300,
        "[" * 300,
    ],
)
def test_a_bad_cursor_is_refused(client: TestClient, cursor: str) -> None:
    """The answer is 400, neither an empty page nor the first one."""
    answer = client.get(PATH, params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0}, {"limit": 201}, {"limit": "x"}, {"status": "done"}, {"created_after": "now"},
        {"created_before": "2026-11-24T10:00:00"}, {"metadata": "ticket"}, {"metadata": ":1"},
        {"metadata": [f"a{n}:1" for n in range(6)]}, {"q": "a\x00"}, {"channel": "\x00"},
        {"metadata": "a:\x00"}, {"language": "\x00"}, {"metadata": "a:\"\\u0000\""},
    ],
)  # fmt: skip
def test_a_wrong_filter_is_refused(client: TestClient, query: dict[str, Any]) -> None:
    """422 names the parameter; a JSON text in metadata is a text."""
    answer = client.get(PATH, params=query)
    if query == {"metadata": 'a:"\\u0000"'}:
        assert answer.status_code == 200
        return
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["errors"][0]["parameter"].startswith(f"query {next(iter(query))}")


def test_filter_by_status(client: TestClient, world: World) -> None:
    """One, several, or a status that none has."""
    failed = world.failed()
    queued = add(world.request_store, "queued")

    assert listed(client, status="failed") == [failed]
    assert listed(client, status=["failed", "queued"]) == [queued, failed]
    assert listed(client, status="completed") == []


def describe(store: RequestStore, id: str, **info: Any) -> None:
    """Store what the source states."""
    RunStore(postgres=store.postgres).claim(id, RUN_ID)
    RunStore(postgres=store.postgres).audio_stored(id, RUN_ID, MediaInfo(**info), AUDIO)


def test_filter_by_channel_title_and_language(
    client: TestClient, request_store: RequestStore, world: World
) -> None:
    """A channel by its id or whole name, a title by a part, a language spoken or requested."""
    one, two = add(request_store, "one", language="de"), add(request_store, "Two 100%")
    describe(request_store, one, channel="JFK Library", channel_id="UC1", title="Ask Not")
    spoken = world.completed()

    assert listed(client, channel="UC1") == [one]
    assert listed(client, channel="jfk library") == [spoken, one]
    assert listed(client, channel="JFK") == []
    assert listed(client, q="sk no") == [spoken, one]
    assert listed(client, q="two 100%") == [two]
    assert listed(client, q="t_o") == []
    assert listed(client, language="German") == listed(client, language="de") == [one]
    assert listed(client, language="EN") == [spoken]
    assert listed(client, language="en", channel="UC1") == []


def test_filter_by_time(client: TestClient, request_store: RequestStore) -> None:
    """The first time is inclusive, the second exclusive, so that windows leave no gaps."""
    made = [add(request_store, name) for name in "abc"]
    times = [client.get(f"{PATH}/{id}").json()["created_at"] for id in made]

    assert listed(client, created_after=times[1]) == [made[2], made[1]]
    assert listed(client, created_before=times[1]) == [made[0]]
    assert listed(client, created_after=times[0], created_before=times[2]) == [made[1], made[0]]
    assert listed(client, created_after="2026-01-01T00:00:00+14:00")[-1] == made[0]


def test_filter_by_metadata(client: TestClient, request_store: RequestStore) -> None:
    """A number, a text or a boolean; all fields in one request, whichever that is."""
    one = add(request_store, "one", metadata={"ticket": 4711, "team": "a:b", "ok": True})
    add(request_store, "one", metadata={"ticket": 4712})
    two = add(request_store, "two", metadata={"ticket": "4711", "nothing": None})

    assert listed(client, metadata="ticket:4711") == [two, one]
    assert listed(client, metadata="ticket:4712") == [one]
    assert listed(client, metadata="ok:true") == [one]
    assert listed(client, metadata="nothing:null") == [two]
    assert listed(client, metadata=["ticket:4711", "team:a:b"]) == [one]
    assert listed(client, metadata=["ticket:4712", "team:a:b"]) == []
    assert listed(client, metadata="other:1") == []


def test_filters_go_with_the_page(client: TestClient, request_store: RequestStore) -> None:
    """`next_url` contains them, whatever their characters."""
    made = [add(request_store, f"n{n}", metadata={"a b&c": "ä=1"}) for n in range(3)]
    add(request_store, "other")
    first = client.get(PATH, params={"metadata": "a b&c:ä=1", "limit": 1, "status": "queued"})

    found = [id for body in pages(client, str(first.url)) for id in ids(body)]
    assert found == made[::-1]


def test_callers_see_their_own(settings: Settings, keys: Keys, request_store: RequestStore) -> None:
    """They see their own metadata; an admin sees everything."""
    shared = add(request_store, "shared", owner=keys.owner("anna"), metadata={"of": "anna"})
    add(request_store, "shared", owner=keys.owner("bert"), metadata={"of": "bert"})
    bert = add(request_store, "bert", owner=keys.owner("bert"))

    with TestClient(create_app(settings), base_url=BASE_URL) as client:

        def seen(name: Any, **query: Any) -> list[str]:
            client.headers |= keys.header(name)
            return listed(client, **query)

        assert seen("anna") == [shared]
        assert seen("bert") == [bert, shared]
        assert seen("admin") == [bert, shared]
        assert seen("clara") == seen("reader") == []
        # Another's metadata is neither shown nor searched.
        assert seen("anna", metadata="of:bert") == []
        assert client.get(f"{PATH}/{shared}").json()["metadata"] == {"of": "anna"}
        assert client.get(f"{PATH}/{bert}").status_code == 404
        assert seen("admin", metadata="of:bert") == [shared]
        assert client.get(f"{PATH}/{shared}").json()["metadata"] == {"of": "bert"}


@pytest.mark.parametrize("moment", ["0", "0.0", "1764000000", "yesterday", "2026-11-24T10:00:00"])
def test_a_time_is_written_out(client: TestClient, moment: str) -> None:
    """With its date and zone; a number is refused."""
    answer = client.get("/api/v1/transcriptions", params={"created_after": moment})

    assert answer.status_code == 422
