"""Dagster's page changes nothing for other sites, other hosts, or without a key."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import uvicorn
from selenium import webdriver
from selenium.webdriver.common.by import By
from starlette.testclient import TestClient
from starlette.types import ASGIApp
from starlette.websockets import WebSocketDisconnect

from resources.auth import api_key_cache
from resources.auth.api_keys import ApiKeys
from resources.http_server.uvicorn_protocol import BoundedHttp
from tests.api.keys import Keys
from tests.api.pages.test_routes import FOREIGN_HOST, Page, browser  # noqa: F401 - a fixture
from tests.support.dagster_page import SET_POOL, DagsterPage, dagster_page
from tests.support.patience import wait_for
from tests.support.servers.foreign_site import foreign_site
from ytcaption.settings.settings import Settings
from ytcaption_assets.webserver import guard, sessions
from ytcaption_assets.webserver.guard import Guard
from ytcaption_assets.webserver.sessions import Sessions

OWN = "http://127.0.0.1:3000"
SOCKET = "ws://127.0.0.1:3000/graphql"
PUBLIC = "https://dagster.example"
EVIL = "https://evil.example"
JSON = "application/json"
QUERY = "{ version }"

MakePage = Callable[..., DagsterPage]


@pytest.fixture(scope="module")
def pages() -> Iterator[dict[bool, DagsterPage]]:
    """Dagster's page without a guard, by whether it is read-only; each is made once."""
    with dagster_page(read_only=True) as fixed, dagster_page(read_only=False) as open_page:
        yield {True: fixed, False: open_page}


@pytest.fixture
def make(settings: Settings, pages: dict[bool, DagsterPage]) -> MakePage:
    """Return a function that puts a guard in front of a page that nobody has changed."""

    def made(*, read_only: bool = True, url: str | None = None) -> DagsterPage:
        page = pages[read_only]
        page.reset()
        return DagsterPage(Guard(page.app, Sessions(settings), url), page.instance)

    return made


@pytest.fixture(autouse=True)
def no_reading_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request of a test client has an event loop of its own, in which nothing may be left."""
    monkeypatch.setattr(api_key_cache, "FRESH_S", 600.0)
    monkeypatch.setattr(api_key_cache, "STALE_S", 600.0)


def client_of(page: DagsterPage, base_url: str = OWN, **headers: str) -> TestClient:
    return TestClient(page.app, base_url=base_url, headers=headers, follow_redirects=False)


def graphql(client: TestClient, query: str, **headers: str) -> Any:
    return client.post("/graphql", json={"query": query}, headers=headers)


HOSTILE = {
    "a GET": lambda c: c.get("/graphql", params={"query": SET_POOL}),
    "a GET that wants HTML": lambda c: c.get(
        "/graphql", params={"query": SET_POOL}, headers={"Accept": "text/html"}
    ),
    "a link that is followed": lambda c: c.get(
        "/graphql",
        params={"query": SET_POOL},
        headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate",
                 "Sec-Fetch-Dest": "document"},
    ),
    "a form": lambda c: c.post("/graphql", params={"query": SET_POOL}, data={"a": "b"}),
    "a text": lambda c: c.post(
        "/graphql", content=json.dumps({"query": SET_POOL}), headers={"Content-Type": "text/plain"}
    ),
    "a text that names JSON": lambda c: c.post(
        "/graphql",
        content=json.dumps({"query": SET_POOL}),
        headers={"Content-Type": "text/plain; application/json"},
    ),
    "a text of GraphQL": lambda c: c.post(
        "/graphql", content=SET_POOL, headers={"Content-Type": "application/graphql"}
    ),
    "no type": lambda c: c.post("/graphql", params={"query": SET_POOL}),
    "another origin": lambda c: graphql(c, SET_POOL, Origin=EVIL),
    "another port": lambda c: graphql(c, SET_POOL, Origin="http://127.0.0.1:8000"),
    "no origin's": lambda c: graphql(c, SET_POOL, Origin="null"),
    "another site": lambda c: graphql(c, SET_POOL, **{"Sec-Fetch-Site": "cross-site"}),
    "the same site": lambda c: graphql(
        c, SET_POOL, **{"Sec-Fetch-Site": "same-site", "Origin": OWN}
    ),
    "another origin, by a proxy that says otherwise": lambda c: graphql(
        c, SET_POOL, **{"Sec-Fetch-Site": "same-origin", "Origin": EVIL}
    ),
    "a name that leads here": lambda c: graphql(
        c, SET_POOL, Host="evil.example:3000", Origin="http://evil.example:3000"
    ),
    "another method": lambda c: c.put("/graphql", json={"query": SET_POOL}),
}  # fmt: skip


@pytest.mark.parametrize("read_only", [True, False], ids=["read-only", "not read-only"])
@pytest.mark.parametrize("send", HOSTILE.values(), ids=HOSTILE)
def test_hostile_requests_change_nothing(
    make: MakePage, send: Callable[[TestClient], Any], read_only: bool
) -> None:
    """They are refused before Dagster sees them, whatever the page may change."""
    page = make(read_only=read_only)
    answer = send(client_of(page))
    assert answer.status_code in (403, 405, 415, 421)
    assert not page.has_changed


def test_what_the_page_sends_is_passed_on(make: MakePage) -> None:
    """Queries and mutations by POST with JSON, from the page itself or from a program."""
    for headers in ({}, {"Origin": OWN, "Sec-Fetch-Site": "same-origin"}):
        page = make(read_only=False)
        client = client_of(page, **headers)
        assert graphql(client, QUERY).json()["data"]["version"]
        assert graphql(client, SET_POOL).json() == {"data": {"setConcurrencyLimit": True}}
        assert page.has_changed


@pytest.mark.parametrize(
    "mutation",
    [SET_POOL, "mutation { setNuxSeen }", 'query A { version } mutation B { setNuxSeen }',
     'mutation { logTelemetry(action: "a", metadata: "{}", clientId: "c", clientTime: "1") '
     "{ __typename } }"],
)  # fmt: skip
def test_by_default_the_page_is_read_only(make: MakePage, mutation: str) -> None:
    """No mutation is executed, those that ask for no permission included."""
    page = make()
    answer = graphql(client_of(page), mutation)
    assert answer.status_code == 400
    assert "YTCAPTION_WEBSERVER_READ_ONLY" in answer.json()["errors"][0]["message"]
    assert not page.has_changed


def test_the_page_to_try_queries_on_opens(make: MakePage) -> None:
    """Without a query in its address."""
    client = client_of(make())
    answer = client.get("/graphql", headers={"Accept": "text/html"})
    assert answer.status_code == 200 and "GraphiQL" in answer.text


@pytest.mark.parametrize(
    ("headers", "opens"),
    [
        ({}, True),
        ({"Origin": OWN}, True),
        ({"Origin": EVIL}, False),
        ({"Origin": "http://127.0.0.1:8000"}, False),
        ({"Origin": "null"}, False),
        ({"Host": "evil.example:3000", "Origin": "http://evil.example:3000"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
    ],
)
def test_a_websocket_opens_for_the_page_only(
    make: MakePage, headers: dict[str, str], opens: bool
) -> None:
    """A browser lets any page open one to anywhere."""
    client = client_of(make())
    if not opens:
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect(SOCKET, ["graphql-ws"], headers=headers),
        ):
            pass
        return
    with client.websocket_connect(SOCKET, ["graphql-ws"], headers=headers) as socket:
        socket.send_json({"type": "connection_init"})
        assert socket.receive_json() == {"type": "connection_ack"}


@pytest.mark.parametrize("read_only", [True, False])
def test_a_websocket_executes_no_mutation(make: MakePage, read_only: bool) -> None:
    """It carries subscriptions only."""
    page = make(read_only=read_only)
    with client_of(page).websocket_connect(SOCKET, ["graphql-ws"]) as socket:
        socket.send_json({"type": "start", "id": "1", "payload": {"query": SET_POOL}})
        assert socket.receive_json()["type"] == "error"
    assert not page.has_changed


def test_no_site_may_frame_the_page(make: MakePage) -> None:
    """Nor read it, nor keep a handle on its window."""
    for path in ("/", "/server_info", "/graphql", "/nothing"):
        headers = client_of(make(), Accept="text/html").get(path).headers
        assert headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_link_to_the_page_may_be_followed(make: MakePage) -> None:
    """In a window of its own; not in a frame, nor as a picture or script."""
    client = client_of(make())
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/runs", headers=link | {"Sec-Fetch-Dest": "document"}).status_code == 200
    assert client.get("/runs", headers=link | {"Sec-Fetch-Dest": "iframe"}).status_code == 403
    no_page = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert client.get("/favicon.svg", headers=no_page).status_code == 403


# --- with keys --------------------------------------------------------------------------------


@pytest.fixture
def keys(settings: Settings) -> Keys:
    """The API has keys."""
    return Keys(settings)


def token_of(keys: Keys, name: Any) -> str:
    return keys.header(name)["Authorization"].removeprefix("Bearer ")


def sign_in(client: TestClient, token: str, **query: str) -> Any:
    return client.post("/sign-in", data={"key": token}, params=query, headers={"Origin": OWN})


def test_without_a_session_nothing_is_shown(make: MakePage, keys: Keys) -> None:
    """A page leads to the form, anything else is 401, a WebSocket is closed."""
    page = make(read_only=False)
    client = client_of(page)
    for path in ("/", "/server_info", "/graphql", "/logs/a/b.err", "/download_debug/x"):
        assert client.get(path).status_code in (401, 405)
    assert graphql(client, SET_POOL).status_code == 401
    assert graphql(client, SET_POOL, Authorization=f"Bearer {token_of(keys, 'admin')}").is_error
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(SOCKET, ["graphql-ws"]):
        pass
    shown = client.get("/runs?a=b", headers={"Accept": "text/html"})
    assert shown.status_code == 303
    assert shown.headers["Location"] == "/sign-in?next=%2Fruns%3Fa%3Db"
    assert client.get("/healthz").status_code == 200
    assert not page.has_changed


def test_an_operator_signs_in_and_out(make: MakePage, keys: Keys) -> None:
    """With a key of the scope admin; the cookie is for this page and the browser only."""
    client = client_of(make(read_only=False))
    answer = sign_in(client, token_of(keys, "admin"), next="/runs?a=b")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/runs?a=b")
    cookie = answer.headers["Set-Cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/" in cookie
    assert int(re.findall(r"max-age=(\d+)", cookie)[0]) == sessions.SESSION_S
    assert "secure" not in cookie and token_of(keys, "admin") not in cookie

    assert client.get("/server_info").status_code == 200
    assert graphql(client, QUERY).json()["data"]["version"]
    with client.websocket_connect(SOCKET, ["graphql-ws"]) as socket:
        socket.send_json({"type": "connection_init"})
        assert socket.receive_json()["type"] == "connection_ack"
    assert graphql(client, SET_POOL, Origin=EVIL).status_code == 403

    kept = dict(client.cookies)
    assert client.post("/sign-out", headers={"Origin": OWN}).status_code == 303
    assert dict(client.cookies) == {}
    client.cookies.update(kept)
    assert client.get("/server_info").status_code == 401


def test_a_websocket_ends_with_its_session(
    make: MakePage, keys: Keys, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is checked every 15 s; here more often."""
    monkeypatch.setattr(guard, "CHECK_EVERY_S", 0.1)
    page = make(read_only=False)
    with client_of(page) as client:
        assert sign_in(client, token_of(keys, "admin")).status_code == 303
        with client.websocket_connect(SOCKET, ["graphql-ws"]) as socket:
            monkeypatch.setattr(api_key_cache, "FRESH_S", 0.1)
            monkeypatch.setattr(api_key_cache, "STALE_S", 0.1)
            for _ in range(2):
                threading.Event().wait(0.3)
                socket.send_json({"type": "connection_init"})
                assert socket.receive_json() == {"type": "connection_ack"}
            ApiKeys.from_settings(settings).revoke(keys.owner("admin").removeprefix("key:"))
            with pytest.raises(WebSocketDisconnect) as closed:
                socket.receive_json()
            assert closed.value.code == 1008


@pytest.mark.parametrize("name", ["anna", "reader"])
def test_other_keys_do_not_open_the_page(make: MakePage, keys: Keys, name: str) -> None:
    """They are for the API."""
    client = client_of(make())
    answer = sign_in(client, token_of(keys, name))
    assert answer.status_code == 403 and "scope admin" in answer.text
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("token", ["", "x", "ytc_" + "a" * 16 + "_" + "b" * 32, "y" * 40_000])
def test_what_is_no_key_does_not_open_the_page(make: MakePage, keys: Keys, token: str) -> None:
    """It is not repeated in the answer."""
    client = client_of(make())
    answer = sign_in(client, token)
    assert answer.status_code == 403 and "Set-Cookie" not in answer.headers
    assert len(token) < 10 or token not in answer.text


@pytest.mark.parametrize("headers", [{"Origin": EVIL}, {"Sec-Fetch-Site": "cross-site"}])
def test_no_other_site_signs_anybody_in(
    make: MakePage, keys: Keys, headers: dict[str, str]
) -> None:
    """Not even with a valid key of its own."""
    client = client_of(make())
    answer = client.post("/sign-in", data={"key": token_of(keys, "admin")}, headers=headers)
    assert answer.status_code == 403 and "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "/a\r\nX-A: b"]
)
def test_signing_in_leads_to_the_page_only(make: MakePage, keys: Keys, target: str) -> None:
    """An address that somebody has prepared leads nowhere else."""
    client = client_of(make())
    assert sign_in(client, token_of(keys, "admin"), next=target).headers["Location"] == "/"
    form = client_of(make()).get("/sign-in", params={"next": f'/{quote("<b>")}"><b>'}).text
    assert "<b>" not in form


def test_a_session_ends_with_its_key_and_in_time(
    settings: Settings, make: MakePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is revoked or rotated closes the page at once where that is known."""
    monkeypatch.setattr(api_key_cache, "FRESH_S", 0.0)
    monkeypatch.setattr(api_key_cache, "STALE_S", 0.0)
    store = ApiKeys.from_settings(settings)
    for end in (store.revoke, store.rotate, store.delete):
        store.create("other", ["admin"])
        made = store.create("operator", ["admin"], expires_in=timedelta(hours=1))
        client = client_of(make())
        sign_in(client, made.token)
        assert client.get("/server_info").status_code == 200
        end(made.row.id)
        assert client.get("/server_info").status_code == 401

    monkeypatch.setattr(sessions, "SESSION_S", 0.2)
    client = client_of(make())
    sign_in(client, store.create("operator", ["admin"]).token)
    wait_for(lambda: client.get("/server_info").status_code == 401)


def test_the_page_closes_when_the_first_key_is_created(
    settings: Settings, make: MakePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like the API."""
    monkeypatch.setattr(api_key_cache, "FRESH_S", 0.0)
    monkeypatch.setattr(api_key_cache, "STALE_S", 0.0)
    client = client_of(make())
    assert client.get("/server_info").status_code == 200
    ApiKeys.from_settings(settings).create("first", ["read"])
    assert client.get("/server_info").status_code == 401


@pytest.mark.parametrize("host", ["dagster.example", "127.0.0.1:3000"])
def test_under_an_address_for_others_a_key_is_always_needed(make: MakePage, host: str) -> None:
    """Even without any key, and if the proxy replaces the host."""
    client = client_of(make(url=PUBLIC))
    assert client.get("/server_info", headers={"Host": host}).status_code == 401
    form = client.get("/sign-in", headers={"Host": host})
    assert form.status_code == 200 and "ytcaption keys create" in form.text
    assert client.get("/server_info", headers={"Host": "evil.example"}).status_code == 421


def test_behind_https_the_cookie_stays_there(make: MakePage, keys: Keys) -> None:
    """It is sent by https and to this host only."""
    client = client_of(make(url=PUBLIC, read_only=False), PUBLIC)
    answer = client.post(
        "/sign-in", data={"key": token_of(keys, "admin")}, headers={"Origin": PUBLIC}
    )
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-") and "Secure" in cookie
    assert graphql(client, QUERY, Origin=PUBLIC).json()["data"]["version"]
    assert graphql(client, QUERY, Origin="http://dagster.example:81").status_code == 403


def test_a_link_of_another_site_finds_the_session(make: MakePage, keys: Keys) -> None:
    """A browser keeps a strict cookie back then: the page opens itself once more."""
    client = client_of(make())
    headers = {
        "Accept": "text/html",
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    answer = client.get("/runs", headers=headers)
    assert answer.status_code == 200 and 'http-equiv="refresh"' in answer.text
    assert client.get("/runs", headers=headers | {"Sec-Fetch-Site": "same-origin"}).is_redirect


# --- in a browser -----------------------------------------------------------------------------


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an app over real HTTP on loopback; yield its address."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, http=BoundedHttp, log_config=None, timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


ATTACK = """
    const done = arguments[arguments.length - 1];
    const url = %s, mutation = %s;
    const body = JSON.stringify({query: mutation});
    const get = `${url}/graphql?query=${encodeURIComponent(mutation)}`;
    const form = document.createElement("form");
    const frame = document.createElement("iframe");
    frame.name = "target";
    form.method = "post"; form.action = get; form.target = "target";
    document.body.append(frame, form);
    form.submit();
    const image = new Image();
    image.src = get;
    const posted = (type) => fetch(`${url}/graphql`, {
        method: "POST", mode: "no-cors", body, headers: {"Content-Type": type}, }).catch(String);
    const opened = new Promise((resolve) => {
        const socket = new WebSocket(url.replace("http", "ws") + "/graphql", "graphql-ws");
        socket.onopen = () => resolve("open");
        socket.onerror = () => resolve("closed");
    });
    Promise.all([
        opened,
        posted("text/plain"),
        posted("text/plain; application/json"),
        fetch(get, {mode: "no-cors"}).catch(String),
        new Promise((resolve) => { frame.onload = resolve; setTimeout(resolve, 2000); }),
    ]).then(([socket]) => done(socket));
"""


@pytest.mark.slow
@pytest.mark.browser
def test_foreign_pages_in_a_browser_change_nothing(
    make: MakePage, browser: webdriver.Chrome
) -> None:
    """By GET, form, picture, text or WebSocket; of another host, or of another port of this one."""
    page = make(read_only=False)
    with serving(page.app) as url, foreign_site() as port:
        for host in (FOREIGN_HOST, "127.0.0.1"):
            browser.get(f"http://{host}:{port}/")
            script = ATTACK % (json.dumps(url), json.dumps(SET_POOL))
            assert browser.execute_async_script(script) == "closed"
        assert not page.has_changed


@pytest.mark.long
@pytest.mark.browser
def test_the_page_works_behind_the_guard(
    make: MakePage, keys: Keys, browser: webdriver.Chrome
) -> None:
    """An operator signs in with a form and sees Dagster's page; the console shows no error."""
    with serving(make().app) as url, foreign_site() as port:
        page = Page(browser, f"{url}/deployment/concurrency")
        page.find("key").send_keys(token_of(keys, "anna"))
        browser.find_element(By.TAG_NAME, "button").click()
        page.wait(lambda: "scope admin" in browser.page_source)
        page.find("key").send_keys(token_of(keys, "admin"))
        browser.find_element(By.TAG_NAME, "button").click()
        page.wait(lambda: "Concurrency" in browser.find_element(By.TAG_NAME, "body").text)
        assert browser.current_url == f"{url}/deployment/concurrency"
        time.sleep(1)  # it polls
        errors = [line for line in page.errors() if "403" not in line]
        assert errors == []

        browser.get(f"http://{FOREIGN_HOST}:{port}/")
        browser.execute_script(f"location = {json.dumps(url + '/deployment/concurrency')}")
        page.wait(lambda: "Concurrency" in browser.find_element(By.TAG_NAME, "body").text)
