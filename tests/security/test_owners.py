"""What came with one owner's requests reaches no other owner, whichever operation they read."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import dagster as dg
import pytest
from fastapi.testclient import TestClient

from resources.channels.intake import ChannelIntake
from resources.channels.runs import ChannelRuns
from resources.lake.catalog import TranscriptCatalog
from resources.lake.documents import stored_document
from resources.object_store.store import document_key
from resources.postgres.connection import Postgres
from resources.transcriptions.reads import get_transcription
from tests.api.conftest import (
    AUDIO,
    AUDIO_KEY,
    AUDIO_SHA256,
    RUN_ID,
    UNKNOWN_ID,
    Start,
    World,
    dagster_home,  # noqa: F401 - a fixture
)
from tests.api.keys import Keys, Name
from tests.api.uploads.bodies import JFK, UPLOADS
from tests.support.channel_lists import item, page
from tests.support.transcripts import transcript_of
from ytcaption.domain.media.media import MediaInfo, MediaSource, StoredAudio, url_media_id
from ytcaption.settings.settings import Settings

pytestmark = pytest.mark.long

PATH = "/api/v1/transcriptions"
CHANNEL = "https://www.youtube.com/channel/UC5NOEUbkLheQcaaRldYW5GA"
EPISODE = "https://podcast.example.org/episodes/7.mp3"
MARK = "annas-secret"
"""Part of every text that came with a request of Anna."""

TEXTS = {"title", "url"}
"""Columns of views that hold what a request may have come with; each view is a process."""

WORD = "country"
AUDIO_KINDS = {"site": "Published by the site", "direct": "talk", "upload": None}


@dataclass
class Library:
    """Requests of two owners, most of them for the same media item."""

    client: TestClient
    keys: Keys
    world: World
    settings: Settings
    shared: list[str] = field(default_factory=list)
    annas: list[str] = field(default_factory=list)
    erased: list[str] = field(default_factory=list)
    channel: str = ""
    webhook: str = ""

    def request(self, name: Name, link: str, **more: Any) -> str:
        """Return the id of a link's transcription, requested by this caller."""
        answer = self.client.post(
            PATH, json={"url": link, "model": "base"} | more, headers=self.keys.header(name)
        )
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def upload(self, name: Name, file_name: str, **more: str) -> str:
        """Return the id of a file's transcription, uploaded by this caller."""
        answer = self.client.post(
            UPLOADS,
            files={"file": (file_name, JFK, "audio/flac")},
            data={"model": "base"} | more,
            headers=self.keys.header(name),
        )
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def complete(self, id: str) -> str:
        """Do what a run does, and return the id."""
        row = get_transcription(self.world.request_store.postgres, id)
        self.world.run_store.claim(id, RUN_ID)
        audio = StoredAudio(
            AUDIO_KEY, AUDIO_SHA256, len(AUDIO), 11.0, "opus", "matroska,webm", 48_000, 2
        )
        kind = "upload" if id.startswith("upload-") else "direct"
        title = AUDIO_KINDS["site" if id.startswith("youtube-") else kind]
        self.world.run_store.audio_stored(id, RUN_ID, MediaInfo(title=title), audio)
        transcript = transcript_of(id)
        written = self.world.object_store.write_bytes(document_key(id), transcript.to_json())
        self.world.run_store.transcript_stored(
            id, RUN_ID, transcript, document_key(id), written.sha256
        )
        self.world.run_store.complete(row.id, RUN_ID)
        return id

    def fill_lake(self) -> None:
        """Do what the last asset of runs does, for what both have requested."""
        catalog = TranscriptCatalog.from_settings(self.settings)
        for id in self.shared:
            postgres, objects = self.world.request_store.postgres, self.world.object_store
            document = stored_document(postgres, objects, id)
            assert document is not None
            catalog.append(*document)

    def get(self, name: Name, path: str, **parameters: str) -> Any:
        """Return the response to this caller."""
        return self.client.get(path, params=parameters, headers=self.keys.header(name))


@pytest.fixture
def library(
    keys: Keys,
    dagster_home: object,
    start: Start,
    world: World,
    settings: Settings,
    postgres: Postgres,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Library]:
    """Anna has requested everything first; Bert the same media item, with texts of his own."""
    home = str(dagster_home)
    monkeypatch.setattr(TranscriptCatalog, "erase", lambda *_: None)  # what is erased is not in it
    monkeypatch.setattr(dg.DagsterInstance, "get", lambda: dg.DagsterInstance.from_config(home))
    world.object_store.write_bytes(AUDIO_KEY, AUDIO)
    it = Library(start(), keys, world, settings)
    private = {"metadata": {"note": MARK}, "callback_url": f"https://example.org/{MARK}"}
    upload = it.upload(
        "anna", f"{MARK} talk.flac", metadata=json.dumps({"note": MARK}), callback_url=MARK_URL
    )
    direct = it.request("anna", signed(MARK), **private)
    site = it.request("anna", "https://youtu.be/dQw4w9WgXcQ", **private)
    it.annas = [it.request("anna", "https://youtu.be/aaaaaaaaaaa", initial_prompt=MARK)]
    it.erased = [it.request("anna", "https://youtu.be/bbbbbbbbbbb", **private)]
    it.channel, episode = subscribed(it, postgres)

    assert it.upload("bert", "berts talk.flac") == upload
    assert it.request("bert", signed("berts")) == direct
    assert it.request("bert", "https://www.youtube.com/watch?v=dQw4w9WgXcQ") == site
    assert it.request("bert", EPISODE, model="tiny.en", language="en") == episode

    made = it.client.post(
        "/api/v1/webhooks",
        json={"url": MARK_URL, "description": MARK},
        headers=keys.header("anna"),
    )
    it.webhook = made.json()["id"]
    it.shared = [it.complete(id) for id in (upload, direct, site, episode)]
    for id in it.annas + it.erased:
        it.complete(id)
    for id in it.erased:
        assert it.client.delete(f"{PATH}/{id}", headers=keys.header("anna")).status_code == 204
    yield it


MARK_URL = f"https://example.org/{MARK}"


def signed(signature: str) -> str:
    """Return a link of one file, which everybody signs for themselves."""
    return f"https://files.example.org/talk.mp3?Expires=9999999999&Signature={signature}"


def subscribed(library: Library, postgres: Postgres) -> tuple[str, str]:
    """Return a channel of Anna, which names an episode, and the id of its transcription."""
    made = library.client.post(
        "/api/v1/channels",
        json={"url": CHANNEL, "model": "tiny.en", "language": "en"},
        headers=library.keys.header("anna"),
    )
    assert made.status_code == 201, made.text
    id = made.json()["id"]
    runs, intake = ChannelRuns(postgres=postgres), ChannelIntake(postgres=postgres)
    runs.claim(id, RUN_ID)
    source = MediaSource(url_media_id(EPISODE), "direct", EPISODE, "Generic", f"{MARK} episode")
    listed = page([1])
    listed = replace(listed, items=(*listed.items, replace(item(2), source=source)))
    intake.add_page(id, RUN_ID, listed, is_history=True)
    runs.complete(id, RUN_ID)
    [row] = postgres.rows(
        "select transcription_id as id from ytcaption.channel_item where media_id = %(id)s",
        {"id": source.media_id},
    )
    return id, row["id"]


def reads(library: Library, ids: list[str]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield each GET operation of the OpenAPI document with its name, path and parameters, once for
    each of the ids where it takes one."""
    document = library.client.get("/openapi.json").json()
    listed = library.get("admin", "/api/v1/analytics").json()["views"]
    views = [view["name"] for view in listed if TEXTS & {each["name"] for each in view["columns"]}]
    assert views
    values: dict[str, Callable[[], list[str]]] = {
        f"{PATH}/{{id}}": lambda: ids,
        "/api/v1/media/{media_id}": lambda: [id.rpartition(".")[0] for id in ids],
        "/api/v1/channels/{id}": lambda: [library.channel],
        "/api/v1/webhooks/{id}": lambda: [library.webhook],
        "/api/v1/analytics/{view}": lambda: views,
        "/api/v1/admin/reports/{day}": lambda: ["latest"],
        "/v1/models/{model}": lambda: ["base"],
    }
    for path, methods in document["paths"].items():
        if "get" not in methods:
            continue
        operation = methods["get"]
        names = {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
        needed = {"q": WORD} if operation["operationId"] == "search" else {}
        sets = [needed]
        if "format" in names and "words" in names:
            sets = [{"format": name} for name in ("json", "srt")]
        if operation["operationId"] == "readView":
            sets = [{}]
        if operation["operationId"] == "listTranscriptions":
            sets += [{"q": MARK}, {"q": "talk"}]
        prefix = next((prefix for prefix in values if path.startswith(prefix)), None)
        assert prefix is not None or "{" not in path, f"this test has no values for {path}"
        for value in values[prefix]() if prefix else [""]:
            filled = path if prefix is None else prefix.partition("{")[0] + value
            filled += path[len(prefix) :] if prefix else ""
            if value == "first_mentions":
                sets = [{"term": WORD}]
            for parameters in sets:
                yield operation["operationId"], filled, parameters


def everything(response: Any) -> str:
    """Return what a caller is sent: headers and body."""
    headers = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
    return f"{headers}\n\n{response.content.decode('utf-8', 'replace')}"


def test_no_read_shows_what_came_with_anothers_request(library: Library):
    """Titles, links, metadata and callbacks of Anna are in many answers to her, and in none to
    Bert, who has requested the same media item."""
    shown_to_anna: set[str] = set()
    library.fill_lake()
    ids = library.shared + library.annas + library.erased
    for operation, path, parameters in reads(library, ids):
        theirs = library.get("bert", path, **parameters)
        assert theirs.status_code < 500, (path, theirs.text)
        sent = everything(theirs).replace(str(parameters), "")
        assert MARK not in sent, (operation, path, parameters, sent)
        if operation not in shown_to_anna and MARK in everything(
            library.get("anna", path, **parameters)
        ):
            shown_to_anna.add(operation)
    expected = {
        "getTranscription",
        "listTranscriptions",
        "getTranscriptionResult",
        "getTranscriptionAudio",
        "getMedia",
        "listVersions",
        "getLatestResult",
        "search",
        "readView",
        "listChannelItems",
        "getWebhook",
        "listWebhooks",
    }
    assert expected - shown_to_anna == set()


def test_bert_sees_his_own_titles_and_links(library: Library):
    """Each owner has the names that they gave; nobody else's change them."""
    upload, direct, site, episode = library.shared
    library.fill_lake()

    def media(name: Name, id: str) -> dict[str, Any]:
        return library.get(name, f"{PATH}/{id}").json()["media"]

    assert media("bert", upload)["title"] == "berts talk"
    assert media("anna", upload)["title"] == f"{MARK} talk"
    assert media("bert", direct)["url"] == signed("berts")
    assert media("anna", direct)["url"] == media("anna", direct)["webpage_url"] == signed(MARK)
    assert media("bert", episode)["title"] == "talk"  # as the file itself is described
    assert media("anna", episode)["title"] == f"{MARK} episode"
    for name in ("anna", "bert"):
        assert media(name, site)["title"] == "Published by the site"
    titles = {row["title"] for row in query(library, "bert", "select title from media")}
    assert titles == {"berts talk", "talk", "Published by the site"}
    found = library.get("bert", PATH, q=MARK).json()["items"]
    assert not found, "a filter that matches would show that there is such a title"


def query(library: Library, name: Name, sql: str) -> list[dict[str, Any]]:
    """Return the rows of a query of the lake."""
    answer = library.client.post(
        "/api/v1/analytics/query", json={"sql": sql}, headers=library.keys.header(name)
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["rows"]


def test_another_version_keeps_ones_own_title(library: Library):
    """Also if it was requested for both owners, and the first version is erased."""
    upload = library.shared[0]
    body = {"where": "task = 'transcribe'", "model": "small", "dry_run": False}
    answer = library.client.post(
        "/api/v1/retranscriptions", json=body, headers=library.keys.header("admin")
    )
    media_id = upload.rpartition(".")[0]
    [version] = [id for id in answer.json()["ids"] if id.startswith(media_id)]
    for name in ("anna", "bert"):
        gone = library.client.delete(f"{PATH}/{upload}", headers=library.keys.header(name))
        assert gone.status_code == 204
    titles: dict[Name, str] = {"anna": f"{MARK} talk", "bert": "berts talk"}
    for name, title in titles.items():
        assert library.get(name, f"{PATH}/{version}").json()["media"]["title"] == title


def test_what_another_has_or_had_looks_like_nothing(library: Library):
    """Whether Anna has a transcription, or has erased it, every read answers Bert alike."""
    answers = {
        what: [
            (operation, response.status_code, code_of(response))
            for operation, path, parameters in reads(library, ids)
            if ids[0].partition(".")[0] in path
            for response in [library.get("bert", path, **parameters)]
        ]
        for what, ids in {
            "never there": [UNKNOWN_ID.replace("dQw4w9WgXcQ", "ccccccccccc")],
            "Anna's": library.annas,
            "erased by Anna": library.erased,
        }.items()
    }
    assert answers["never there"]
    assert answers["Anna's"] == answers["never there"] == answers["erased by Anna"]
    [erased] = library.erased
    assert library.get("anna", f"{PATH}/{erased}").status_code == 410
    assert library.get("admin", f"{PATH}/{erased}").status_code == 410


def code_of(response: Any) -> str:
    """Return a problem's code."""
    return response.json()["code"] if response.status_code >= 400 else ""


def test_an_erasure_looks_the_same_whatever_others_do(library: Library):
    """410 to the owner who erased it, also while others keep it, and when they request it again."""
    shared, [annas] = library.shared[2], library.annas

    def status(name: Name, id: str) -> int:
        return library.get(name, f"{PATH}/{id}").status_code

    def erase(name: Name, id: str) -> int:
        answer = library.client.delete(f"{PATH}/{id}", headers=library.keys.header(name))
        return answer.status_code

    for _ in range(2):  # a repetition erases nothing of others
        assert erase("anna", shared) == 204
        assert (status("anna", shared), status("bert", shared)) == (410, 200)
    assert erase("anna", annas) == 204
    assert status("anna", annas) == 410
    assert library.request("bert", "https://youtu.be/aaaaaaaaaaa", initial_prompt=MARK) == annas
    assert (status("anna", annas), status("bert", annas)) == (410, 200)
    assert erase("bert", shared) == 204
    assert (status("anna", shared), status("bert", shared)) == (410, 410)
    assert status("clara", shared) == 404
    library.request("anna", "https://youtu.be/dQw4w9WgXcQ")
    assert (status("anna", shared), status("bert", shared)) == (200, 410)


def test_an_erasure_of_others_does_not_change_ones_channel(library: Library):
    """An item whose transcription one has given up says nothing of what became of it since."""
    episode = library.shared[3]

    def items() -> list[dict[str, Any]]:
        listed = library.get("anna", f"/api/v1/channels/{library.channel}/items").json()["items"]
        return [each for each in listed if each["url"] in (EPISODE, None)]

    [before] = items()
    assert before["title"] == f"{MARK} episode"
    assert (
        library.client.delete(f"{PATH}/{episode}", headers=library.keys.header("anna")).status_code
        == 204
    )
    [erased] = items()
    assert (erased["state"], erased["title"]) == ("erased", None)
    assert (
        library.client.delete(f"{PATH}/{episode}", headers=library.keys.header("bert")).status_code
        == 204
    )
    assert items() == [erased]
