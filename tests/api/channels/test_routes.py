"""Channels over the API: each owner's own, from subscribing to unsubscribing."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.http.pagination import encode_cursor
from resources.channels.intake import ChannelIntake
from resources.channels.runs import ChannelRuns
from resources.postgres.connection import Postgres
from resources.sites.circuit_breaker import open_breaker
from tests.api.conftest import RUN_ID, Start, World
from tests.api.keys import Keys
from tests.support.channel_lists import item, page
from tests.support.servers.channel_host import ChannelHost

PATH = "/api/v1/channels"
URL = "https://www.youtube.com/channel/UC5NOEUbkLheQcaaRldYW5GA"
UNKNOWN = f"youtube-UC5NOEUbkLheQcaaRldYW5GA.{'a' * 26}"


def added(client: TestClient, header: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    answer = client.post(PATH, json={"url": URL} | more, headers=header)
    assert answer.status_code == 201, answer.text
    return answer.json()


class Listings:
    """What listing runs do to a channel."""

    def __init__(self, postgres: Postgres) -> None:
        self.runs = ChannelRuns(postgres=postgres)
        self.intake = ChannelIntake(postgres=postgres)

    def list(self, id: str, numbers: range, **changes: Any) -> None:
        """Poll it: the list shows these items, and the poll succeeds."""
        self.runs.claim(id, RUN_ID)
        channel = changes.pop("channel", None)
        shown = page(numbers, **changes)
        if channel:
            shown = page(numbers, **changes, channel=channel)
        self.intake.add_page(id, RUN_ID, shown, is_history=True)
        self.runs.complete(id, RUN_ID)


@pytest.fixture
def listings(postgres: Postgres) -> Listings:
    return Listings(postgres)


def test_the_life_of_a_channel(client: TestClient, listings: Listings) -> None:
    """Created, listed, read with its counts, paused, resumed, polled, removed."""
    answer = client.post(PATH, json={"url": URL})
    channel = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, channel["channel_url"])
    assert channel["schedule"] == {"every": "15m", "cron": None, "time_zone": None}
    assert channel["options"]["model"] == "base" and channel["priority"] == "bulk"
    assert channel["listed_at"] is None and channel["progress"]["fraction"] is None
    one = channel["channel_url"]

    listings.list(channel["id"], range(3, 0, -1), total=3)
    read = client.get(one).json()
    assert read["items"]["queued"] == 3 and read["transcriptions"]["queued"] == 3
    assert read["progress"] == {"done": 0, "total": 3, "fraction": 0.0}
    assert read["history"]["total"] == 3 and read["history"]["done_at"] is not None
    assert read["listed_at"] is not None and read["error"] is None
    assert client.get(PATH).json()["items"] == [read]

    paused = client.patch(one, json={"paused": True}).json()
    assert paused["paused"] and paused["next_listing_at"] is None
    run = client.post(f"{one}/run")
    assert run.status_code == 202 and run.json()["next_listing_at"] is not None
    assert run.json()["paused"]
    assert not client.patch(one, json={"paused": False}).json()["paused"]

    assert client.delete(one).status_code == 204
    assert client.get(one).json()["code"] == "channel_not_found"
    assert len(client.get("/api/v1/transcriptions").json()["items"]) == 3


def test_adding_again_changes_nothing(client: TestClient) -> None:
    """The same source in another form of its link is the same channel, answered with 200."""
    first = added(client, max_items=3)
    again = client.post(PATH, json={"url": f"{URL}/", "max_items": 9})

    assert again.status_code == 200
    assert again.json() == first


def test_all_options_are_stored_and_changed_one_by_one(client: TestClient) -> None:
    """A field left out of a change stays, null restores the default, a schedule is replaced."""
    body = {
        "schedule": {"cron": "30 6 * * 1-5", "time_zone": "Europe/Berlin"},
        "filters": {
            "title_include": "talk",
            "title_exclude": "trailer",
            "min_duration_s": 60,
            "max_duration_s": 3600,
            "from_date": "2026-01-01",
            "newest": 50,
            "skip_shorts": True,
            "skip_live": True,
        },
        "language": "German",
        "model": "base",
        "captions": "never",
        "task": "transcribe",
        "hotwords": "Kubernetes",
        "priority": "interactive",
        "max_items": 20,
        "keep_days": 90,
        "callback_url": "https://example.org/hook",
        "callback_include": "result",
        "digest": "weekly",
        "paused": True,
    }
    channel = added(client, **body)
    assert channel["filters"] == body["filters"]
    assert channel["schedule"] == body["schedule"] | {"every": None}
    assert channel["options"]["language"] == "de"
    for name in (
        "priority",
        "max_items",
        "keep_days",
        "callback_url",
        "callback_include",
        "digest",
    ):
        assert channel[name] == body[name], name
    assert channel["paused"]
    for name in ("model", "captions", "task", "hotwords"):
        assert channel["options"][name] == body[name], name

    changed = client.patch(
        channel["channel_url"],
        json={
            "filters": {"title_include": None, "newest": 10},
            "schedule": {"every": "6h"},
            "language": None,
            "max_items": None,
            "callback_url": None,
        },
    ).json()
    assert changed["filters"] == body["filters"] | {"title_include": None, "newest": 10}
    assert changed["schedule"] == {"every": "6h", "cron": None, "time_zone": None}
    assert changed["options"] == channel["options"] | {"language": None}
    assert (changed["max_items"], changed["callback_url"]) == (None, None)
    assert (changed["keep_days"], changed["priority"]) == (90, "interactive")
    everything = client.patch(channel["channel_url"], json={"filters": None}).json()
    assert set(everything["filters"].values()) == {None}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"schedule": {"every": "soon"}}, "invalid_option"),
    ({"schedule": {"every": "1s"}}, "invalid_option"),
    ({"schedule": {"cron": "61 * * * *"}}, "invalid_option"),
    ({"schedule": {"cron": "0 0 30 2 *"}}, "invalid_option"),
    ({"schedule": {"every": "1h", "cron": "0 0 * * *"}}, "invalid_option"),
    ({"schedule": {"cron": "0 0 * * *", "time_zone": "Mars/Base"}}, "invalid_option"),
    ({"schedule": {"cron": "0 0 * * *", "time_zone": "../../etc/passwd"}}, "invalid_option"),
    ({"filters": {"title_include": "(a"}}, "invalid_option"),
    ({"filters": {"title_exclude": "(?=a)"}}, "invalid_option"),
    ({"filters": {"title_exclude": "a{1000}{1000}"}}, "invalid_option"),
    ({"filters": {"title_include": "a" * 501}}, "invalid_request"),
    ({"filters": {"min_duration_s": 60, "max_duration_s": 30}}, "invalid_option"),
    ({"filters": {"newest": 0}}, "invalid_request"),
    ({"filters": {"from_date": "yesterday"}}, "invalid_request"),
    ({"filters": {"colour": "red"}}, "invalid_request"),
    ({"model": "huge"}, "unknown_model"),
    ({"language": "xx"}, "unknown_language"),
    ({"max_items": 0}, "invalid_request"),
    ({"keep_days": -1}, "invalid_request"),
    ({"priority": "now"}, "invalid_request"),
    ({"callback_url": "http://127.0.0.1/"}, "blocked_address"),
    ({"callback_url": "https://[::ffff:10.0.0.1]/"}, "blocked_address"),
    ({"callback_url": "ftp://example.org/"}, "invalid_url"),
    ({"metadata": {}}, "invalid_request"),
    ({"initial_prompt": "a\x00b"}, "invalid_request"),
]


def test_invalid_settings_are_refused(client: TestClient) -> None:
    """On creation and on change, with the reason; nothing is stored."""
    for changes, code in REFUSED:
        answer = client.post(PATH, json={"url": URL} | changes)
        assert (answer.status_code, answer.json()["code"]) == (422, code), (changes, answer.text)
    assert client.get(PATH).json()["items"] == []

    channel = added(client)
    for changes, code in REFUSED:
        answer = client.patch(channel["channel_url"], json=changes)
        assert (answer.status_code, answer.json()["code"]) == (422, code), (changes, answer.text)
    assert client.get(channel["channel_url"]).json() == channel


NO_CHANNELS = [
    ("http://127.0.0.1/feed.xml", "blocked_address"),
    ("http://[64:ff9b::a9fe:a9fe]/", "blocked_address"),
    ("https://example.org:8443/feed", "blocked_address"),
    ("file:///etc/passwd", "invalid_url"),
    ("ytsearch10:cats", "invalid_url"),
    ("https://user:secret@example.org/feed", "invalid_url"),
    ("https://www.youtube.com/watch?v=dQw4w9WgXcQ", "single_media"),
    ("https://www.youtube.com/playlist?list=WL", "unsupported_site"),
    ("https://example.org/" + "a" * 2_050, "invalid_request"),
]


def test_links_that_are_no_channel(client: TestClient) -> None:
    """Unsafe links are refused as for transcriptions, and so is a single video."""
    for url, code in NO_CHANNELS:
        answer = client.post(PATH, json={"url": url})

        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
        assert "secret" not in answer.text


def test_others_channels_are_404(keys: Keys, start: Start) -> None:
    """On every route and for every other key, except an admin's; a read-only key may not write."""
    client = start()
    anna, bert, admin = (keys.header(name) for name in ("anna", "bert", "admin"))
    channel = added(client, anna)
    one = channel["channel_url"]
    routes = [
        ("GET", one, None),
        ("PATCH", one, {"paused": True}),
        ("POST", f"{one}/run", None),
        ("GET", f"{one}/items", None),
        ("DELETE", one, None),
    ]
    for method, path, body in routes:
        answer = client.request(method, path, json=body, headers=bert)
        assert (answer.status_code, answer.json()["code"]) == (404, "channel_not_found"), method
        assert client.request(
            method, path, json=body, headers=keys.header("reader")
        ).status_code in (
            403,
            404,
        )
    assert client.get(PATH, headers=bert).json()["items"] == []
    assert added(client, bert)["id"] != channel["id"]
    assert len(client.get(PATH, headers=admin).json()["items"]) == 2
    for method, path, body in routes:
        assert client.request(method, path, json=body, headers=admin).status_code < 300, method
    assert client.post(PATH, json={"url": URL}, headers=keys.header("reader")).status_code == 403


def test_only_an_operator_may_order_digests(keys: Keys, start: Start) -> None:
    """Digests are sent to the operators."""
    client = start()
    anna, admin = keys.header("anna"), keys.header("admin")
    one = added(client, anna)["channel_url"]
    for answer in (
        client.post(PATH, json={"url": URL, "digest": "daily"}, headers=anna),
        client.patch(one, json={"digest": "daily"}, headers=anna),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    changed = client.patch(one, json={"digest": "daily"}, headers=admin)
    assert changed.json()["digest"] == "daily"
    assert client.patch(one, json={"max_items": 3}, headers=anna).json()["digest"] == "daily"


def test_an_unknown_channel_is_404(client: TestClient) -> None:
    """Also for an id that cannot exist."""
    for id in (UNKNOWN, "x", "a" * 300, "%00", "youtube-a.b", "dry-run"):
        answer = client.get(f"{PATH}/{id}")

        assert (answer.status_code, answer.json()["code"]) == (404, "channel_not_found"), id


def test_channels_page_by_page(client: TestClient) -> None:
    """The latest added first; each once, whatever is added meanwhile."""
    urls = [f"https://example.org/{number}.xml" for number in range(5)]
    for url in urls:
        added(client, url=url)

    found, url = [], f"{PATH}?limit=2"
    while url:
        answer = client.get(url)
        found += [channel["url"] for channel in answer.json()["items"]]
        url = answer.json()["next_url"]
        assert ("Link" in answer.headers) == (url is not None)
        if len(found) == 2:
            added(client, url="https://example.org/late.xml")

    assert found == urls[::-1]
    for cursor in ("x", "e30", "WzEsMl0", "%00"):
        answer = client.get(f"{PATH}?cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), cursor


def test_items_have_a_transcription_or_a_reason(
    client: TestClient, listings: Listings, world: World
) -> None:
    """They come page by page, the newest first."""
    channel = added(client, filters={"title_exclude": "Part [12]$"})
    listings.list(channel["id"], range(6, 0, -1))
    items = f"{channel['channel_url']}/items"

    found, url = [], f"{items}?limit=4"
    while url:
        answer = client.get(url).json()
        found += answer["items"]
        url = answer["next_url"]
    assert [each["title"] for each in found] == [f"Part {number}" for number in range(6, 0, -1)]
    assert found[0]["media_id"] == item(6).source.media_id
    assert found[0]["transcription"]["status"] == "queued"
    assert client.get(found[0]["transcription"]["status_url"]).status_code == 200
    assert (found[5]["state"], found[5]["reason"]) == ("filtered", "title_excluded")
    assert found[5]["transcription"] is None

    left_out = client.get(f"{items}?state=filtered&state=missing").json()["items"]
    assert [each["title"] for each in left_out] == ["Part 2", "Part 1"]
    assert client.get(f"{items}?changed=true").json()["items"] == []
    assert client.get(f"{items}?state=lost").status_code == 422
    half = encode_cursor([1.5, "\ud800"])
    for cursor in (
        half,
        "x",
        "e30",
        "WyJhIiwgImIiXQ",
        "WzEsMl0",
        "WzEuNSwgMl0",
        "W05hTiwgImEiXQ",
        "bnVsbA",
    ):
        answer = client.get(f"{items}?cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor"), cursor


def test_a_channel_that_fails_says_why(client: TestClient, listings: Listings) -> None:
    """It has the code and the message until a poll succeeds."""
    channel = added(client)
    listings.runs.claim(channel["id"], RUN_ID)
    assert client.get(channel["channel_url"]).json()["listing"]
    listings.runs.fail(channel["id"], RUN_ID, "source_blocked", "It wants a login.", True)

    read = client.get(channel["channel_url"]).json()
    assert read["error"] == {"code": "source_blocked", "message": "It wants a login."}
    assert (read["failures"], read["listing"]) == (1, False)
    listings.list(channel["id"], range(1))
    assert client.get(channel["channel_url"]).json()["error"] is None


def test_a_channel_being_removed_cannot_be_added_yet(
    client: TestClient, listings: Listings
) -> None:
    """With its transcriptions it is removed in the background: until then it is neither there nor
    new."""
    channel = added(client)
    listings.list(channel["id"], range(2))

    assert client.delete(f"{channel['channel_url']}?transcriptions=true").status_code == 204
    assert client.get(channel["channel_url"]).status_code == 404
    answer = client.post(PATH, json={"url": URL})
    assert (answer.status_code, answer.json()["code"]) == (409, "channel_busy")


@pytest.mark.long
def test_a_dry_run_shows_what_would_be_included(start: Start) -> None:
    """Of the current list, with reasons, bounded; nothing is stored."""
    client = start(allowed_networks=["127.0.0.0/8"])
    with ChannelHost() as host:
        body = {
            "url": host.podcast("news", 6),
            "filters": {"title_exclude": "Episode 4", "from_date": "2024-01-02"},
            "max_items": 2,
        }
        run = client.post(f"{PATH}/dry-run", json=body)
        assert run.status_code == 200, run.text
        seen = run.json()
        few = client.post(f"{PATH}/dry-run?items=2", json=body | {"filters": None}).json()
        nothing = client.post(f"{PATH}/dry-run", json={"url": host.url("status/404")})

    assert (seen["title"], seen["kind"], seen["is_complete"]) == ("news", "feed", True)
    assert [each["title"] for each in seen["included"]] == ["Episode 5", "Episode 3"]
    assert [(each["title"], each["reason"]) for each in seen["excluded"]] == [
        ("Episode 4", "title_excluded"),
        ("Episode 2", "max_items"),
        ("Episode 1", "max_items"),
        ("Episode 0", "too_old"),
    ]
    assert [len(few["included"]), few["excluded"], few["is_complete"]] == [2, [], False]
    assert (nothing.status_code, nothing.json()["code"]) == (422, "media_not_found")
    assert client.post(f"{PATH}/dry-run?items=201", json=body).status_code == 422
    assert client.get(PATH).json()["items"] == []


def test_a_dry_run_respects_the_circuit_breaker(client: TestClient, world: World) -> None:
    """No list is fetched from a site whose breaker is open."""
    open_breaker(world.request_store.postgres, "youtube.com", "", "local")

    answer = client.post(f"{PATH}/dry-run", json={"url": URL})

    assert (answer.status_code, answer.json()["code"]) == (422, "source_unavailable")
    assert "youtube.com" in answer.json()["detail"]
