"""Links that are given to be opened: refused when they are given, or when they lead elsewhere."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import Start
from tests.security.names import Names
from tests.support.servers.media_server import MediaServer
from tests.ytcaption_assets.assets.conftest import Graph
from ytcaption.settings.settings import Settings

PATH = "/api/v1/transcriptions"
YOUTUBE = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"

INVALID, BLOCKED, LIST = "invalid_url", "blocked_address", "playlist_url"
LINKS = [
    ("a file", "file:///etc/passwd", INVALID),
    ("data", "data:audio/mpeg;base64,AAAA", INVALID),
    ("FTP", "ftp://example.org/a.mp3", INVALID),
    ("gopher", "gopher://example.org/1", INVALID),
    ("a script", "javascript:alert(1)", INVALID),
    ("a relative one", "//example.org/a.mp3", INVALID),
    ("a path", "/etc/passwd", INVALID),
    ("one slash", "http:/example.org/a.mp3", INVALID),
    ("yt-dlp's search", "ytsearch:cats", INVALID),
    ("yt-dlp's long search", "ytsearchall:cats", INVALID),
    ("yt-dlp's favourites", ":ytfav", INVALID),
    ("a bare id", "dQw4w9WgXcQ", INVALID),
    ("an option of a command", "--exec=id", INVALID),
    ("a user's name", "https://user@example.org/a.mp3", INVALID),
    ("a password", "https://user:s3cret@example.org/a.mp3", INVALID),
    ("a host before the real one", "https://example.org\\@10.0.0.1/a.mp3", INVALID),
    ("a line break", "https://example.org/a\r\nHost: x", INVALID),
    ("a line break in the host", "https://example.org\r\n.evil/a", INVALID),
    ("a NUL, as in any other field", "https://example.org/\x00", "invalid_request"),
    ("a tab", "https://exam\tple.org/", INVALID),
    ("an invisible character", "https://exam\u200bple.org/", INVALID),
    ("a zone", "http://[fe80::1%25eth0]/a.mp3", INVALID),
    ("half an address", "http://[::1/a.mp3", INVALID),
    ("five numbers", "http://1.2.3.4.5/a.mp3", INVALID),
    ("a number too large", "http://256.1.1.1/a.mp3", INVALID),
    ("port 0", "https://example.org:0/a.mp3", INVALID),
    ("port 99999", "https://example.org:99999/a.mp3", INVALID),
    ("loopback", "http://127.0.0.1/a.mp3", BLOCKED),
    ("loopback by name", "http://localhost/a.mp3", BLOCKED),
    ("loopback under a name", "http://a.localhost/a.mp3", BLOCKED),
    ("loopback as one number", "http://2130706433/a.mp3", BLOCKED),
    ("loopback in hexadecimal", "http://0x7f000001/a.mp3", BLOCKED),
    ("loopback in octal", "http://0177.0.0.1/a.mp3", BLOCKED),
    ("loopback in short", "http://127.1/a.mp3", BLOCKED),
    ("loopback in full width", "http://１２７.０.０.１/a.mp3", BLOCKED),
    ("loopback in circles", "http://①②⑦.⓪.⓪.①/a.mp3", BLOCKED),
    ("loopback with a dot", "http://127.0.0.1./a.mp3", BLOCKED),
    ("loopback in percents", "http://%31%32%37.0.0.1/a.mp3", INVALID),
    ("any address", "http://0.0.0.0/a.mp3", BLOCKED),
    ("IPv6 loopback", "http://[::1]/a.mp3", BLOCKED),
    ("IPv6 loopback in full", "http://[0:0:0:0:0:0:0:1]/a.mp3", BLOCKED),
    ("IPv4 in IPv6", "http://[::ffff:127.0.0.1]/a.mp3", BLOCKED),
    ("IPv4 in NAT64", "http://[64:ff9b::a9fe:a9fe]/a.mp3", BLOCKED),
    ("IPv4 in 6to4", "http://[2002:7f00:1::]/a.mp3", BLOCKED),
    ("Teredo", "http://[2001::1]/a.mp3", BLOCKED),
    ("a cloud's metadata", "http://169.254.169.254/latest/meta-data/", BLOCKED),
    ("a cloud's metadata by IPv6", "http://[fd00:ec2::254]/latest/", BLOCKED),
    ("10.x", "http://10.0.0.1/a.mp3", BLOCKED),
    ("172.16.x", "http://172.16.0.1/a.mp3", BLOCKED),
    ("192.168.x", "http://192.168.1.1/a.mp3", BLOCKED),
    ("a carrier's network", "http://100.64.0.1/a.mp3", BLOCKED),
    ("multicast", "http://224.0.0.1/a.mp3", BLOCKED),
    ("broadcast", "http://255.255.255.255/a.mp3", BLOCKED),
    ("Lemonde by its path", "http://10.0.0.1/x.lemonde.fr/a/b.html", BLOCKED),
    ("SSH's port", "https://example.org:22/a.mp3", BLOCKED),
    ("Postgres's port", "https://example.org:5432/a.mp3", BLOCKED),
    ("a port of the web's kin", "https://example.org:8080/a.mp3", BLOCKED),
    ("http on https's host", "http://127.0.0.1:443/a.mp3", BLOCKED),
]  # fmt: skip
ALSO_NO_MEDIA = [
    ("a playlist", "https://www.youtube.com/playlist?list=PL2qgrgXsNUG5ig9cat4ohreBjY", LIST),
    ("a channel", "https://www.youtube.com/@somebody", LIST),
    ("a search on the site", "https://www.youtube.com/results?search_query=cats", LIST),
    ("a cut id", "https://www.youtube.com/watch?v=short", INVALID),
]  # fmt: skip


def ids(rows: list[tuple[str, ...]]) -> list[str]:
    return [row[0] for row in rows]


@pytest.mark.long
@pytest.mark.parametrize(
    ("url", "code"), [row[1:] for row in LINKS + ALSO_NO_MEDIA], ids=ids(LINKS + ALSO_NO_MEDIA)
)
def test_a_link_is_refused_when_it_is_given(client: TestClient, url: str, code: str) -> None:
    """Alone, in a batch, and where it is repeated back nothing of it is; nothing is queued."""
    alone = client.post(PATH, json={"url": url})
    batch = client.post(f"{PATH}:batch", json={"items": [{"url": url}]})

    assert (alone.status_code, alone.json()["code"]) == (422, code)
    [item] = batch.json()["items"]
    assert (item["status"], item["problem"]["code"]) == (422, code)
    assert "s3cret" not in alone.text and "\r\nHost" not in alone.json()["detail"]
    assert client.get(PATH).json()["items"] == []


@pytest.mark.slow
@pytest.mark.parametrize(("url", "code"), [row[1:] for row in LINKS], ids=ids(LINKS))
def test_callbacks_and_webhooks_follow_the_same_rules(
    client: TestClient, url: str, code: str
) -> None:
    """Their URLs are refused as links are."""
    callback = client.post(PATH, json={"url": YOUTUBE, "callback_url": url})
    webhook = client.post("/api/v1/webhooks", json={"url": url})

    assert (callback.status_code, callback.json()["code"]) == (422, code)
    assert (webhook.status_code, webhook.json()["code"]) == (422, code)
    assert client.get(PATH).json()["items"] == []
    assert client.get("/api/v1/webhooks").json() == {"webhooks": []}


@pytest.mark.parametrize("scheme", ["json", "xml", "mailto", "slack", "apprise", "syslog"])
def test_a_caller_names_no_channel_of_the_operators(client: TestClient, scheme: str) -> None:
    """Apprise would post to loopback (rule 26): its kinds of URL are no webhooks."""
    answer = client.post("/api/v1/webhooks", json={"url": f"{scheme}://127.0.0.1:8000/"})
    assert (answer.status_code, answer.json()["code"]) == (422, INVALID)


WAYS_INSIDE = {
    "a redirect": lambda server, inside: server.url("redirect", to=inside),
    "a second redirect": lambda server, inside: server.url(
        "redirect", to=server.url("redirect", to=inside)
    ),
    "a segment": lambda server, inside: server.url("playlist/a.m3u8", segment=inside),
    "a second segment": lambda server, inside: server.url(
        "playlist/a.m3u8", segment=f"{server.url('jfk.flac')},{inside}"
    ),
    "a variant": lambda server, inside: server.serve(
        "v.m3u8", f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{inside}\n".encode()
    ),
    "a name that leads inside": lambda server, _: f"http://inside.example:{server.port}/jfk.flac",
    "a name that changes": lambda server, _: f"http://changes.example:{server.port}/jfk.flac",
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS_INSIDE)
def test_a_link_that_leads_inside_fails_with_its_code(
    graph: Graph,
    environment: pytest.MonkeyPatch,
    start: Start,
    media_server: MediaServer,
    inside: MediaServer,
    names: Names,
    way: str,
) -> None:
    """By POST, run and the real yt-dlp: at the first attempt, saying nothing of what is inside."""
    environment.setenv("YTCAPTION_ALLOWED_NETWORKS", "127.0.0.1/32")
    graph.settings = Settings(_env_file=None)  # pyright: ignore[reportCallIssue]
    names.answer("inside.example", [inside.host])
    names.answer("changes.example", [media_server.host], [inside.host])
    url = WAYS_INSIDE[way](media_server, inside.url("jfk.flac"))
    client = start(allowed_networks=("127.0.0.1/32",))
    body: dict[str, Any] = {"url": url, "model": "tiny.en"}

    id = client.post(PATH, json=body).json()["id"]
    graph.run(id, attempt=1)
    body = client.get(f"{PATH}/{id}").json()

    assert (body["status"], body["attempt"]) == ("failed", 1)
    assert body["error"]["code"] == BLOCKED
    if "name" in way:  # what a name leads to inside is nobody's business
        assert inside.host not in body["error"]["message"]
    assert inside.requests == []
    assert list(graph.objects.list()) == []
