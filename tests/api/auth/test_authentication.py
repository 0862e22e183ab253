"""Authentication: no key is needed on loopback until the first one is created, then always."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi.testclient import TestClient
from jwt.algorithms import RSAAlgorithm
from pydantic import SecretStr

from api.app import create_app
from resources.auth import api_key_cache, jwt_tokens
from resources.auth.api_keys import ApiKeys
from resources.postgres.connection import Postgres
from tests.api.conftest import BASE_URL, UNKNOWN_ID, DatabaseSwitch, World
from tests.support.patience import wait_for
from ytcaption.domain.caller import Limits
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)

SECRET = "a-secret-of-more-than-thirty-two-characters"
PATH = "/api/v1/transcriptions"
LINK = {"url": "https://youtu.be/dQw4w9WgXcQ", "model": "base"}
GUARDED = ["/api/v1/options", f"{PATH}/{UNKNOWN_ID}", "/api/v1/usage", "/metrics",
           "/api/v1/admin/keys", "/v1/audio/transcriptions", "/api", "/nothing", "/pages",
           "/pages/../api/v1/options", "/docs/", "/healthz/x"]  # fmt: skip
FREE = ["/", "/channels", "/docs", "/openapi.json", "/healthz", "/readyz", "/pages/app.js",
        "/docs/assets/swagger-ui.css"]  # fmt: skip

Client = Callable[..., TestClient]


@pytest.fixture
def keys(settings: Settings) -> ApiKeys:
    """Return what the command line uses to create and revoke keys."""
    return ApiKeys.from_settings(settings)


@pytest.fixture
def started(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Start the app with changed settings, without Dagster."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with ExitStack() as stack:

        def start(base_url: str = BASE_URL, **changes: object) -> TestClient:
            app = create_app(settings.changed(**changes))
            return stack.enter_context(TestClient(app, base_url=base_url))

        yield start


def bearer(token: str) -> dict[str, str]:
    """Return the header with this token."""
    return {"Authorization": f"Bearer {token}"}


def test_without_keys_loopback_is_open(started: Client) -> None:
    """No key is needed, and one that is sent is ignored."""
    client = started()
    for headers in ({}, bearer("sk-anything"), bearer("ytc_x"), {"Authorization": "Basic eDp5"}):
        assert client.get("/api/v1/options", headers=headers).status_code == 200
        assert client.get("/api/v1/admin/keys", headers=headers).status_code == 200


@pytest.mark.parametrize("path", GUARDED)
def test_once_keys_exist_one_is_needed(started: Client, keys: ApiKeys, path: str) -> None:
    """Every path but the public ones, known or not, answers 401 as RFC 6750 defines it."""
    keys.create("newsroom", ["read"])
    client = started()
    answer = client.send(client.build_request("GET", f"{BASE_URL}{path}"))

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="ytcaption"'
    assert "Authorization: Bearer" in answer.json()["detail"]


@pytest.mark.parametrize("path", FREE)
def test_pages_and_probes_stay_public(started: Client, keys: ApiKeys, path: str) -> None:
    """With a key, with none, with a wrong one, and under any host name."""
    keys.create("newsroom", ["read"])
    client = started()

    for headers in ({}, bearer("wrong"), {"Host": "captions.example.org"}):
        assert client.get(path, headers=headers).status_code == 200


def test_a_key_gives_access(started: Client, keys: ApiKeys) -> None:
    """Any host name works: a page that rebinds its name has no key."""
    token = keys.create("newsroom", ["read"]).token
    client = started()

    for headers in ({}, {"Host": "captions.example.org"}):
        assert client.get("/api/v1/options", headers=bearer(token) | headers).status_code == 200
    lower = {"authorization": f"bearer  {token} "}
    assert client.get("/api/v1/options", headers=lower).status_code == 200


def test_anything_but_a_valid_key_is_refused(started: Client, keys: ApiKeys) -> None:
    """A changed secret, another id, another scheme, none, two of them, one in the URL."""
    made, other = keys.create("newsroom", ["read"]), keys.create("other", ["read"])
    client = started()
    id, secret = made.token.split("_")[1:]
    changed = secret[:-1] + ("a" if secret[-1] != "a" else "b")
    wrong = [
        f"ytc_{id}_{changed}",
        f"ytc_{other.row.id}_{secret}",
        f"ytc_{'a' * 16}_{secret}",
        made.token.upper(),
        made.row.secret_sha256,
        secret,
        "x" * 10_000,
    ]
    for headers in [bearer(it) for it in wrong] + [
        {"Authorization": made.token},
        {"Authorization": f"Basic {made.token}"},
        {"Authorization": "Bearer"},
        {"Authorization": ""},
        {"X-API-Key": made.token},
    ]:
        answer = client.get("/api/v1/options", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        if "Authorization" in headers:
            assert answer.headers["WWW-Authenticate"].endswith('error="invalid_token"')
    twice = [("Authorization", f"Bearer {made.token}")] * 2
    assert client.get("/api/v1/options", headers=twice).status_code == 401
    assert client.get(f"/api/v1/options?api_key={made.token}").status_code == 401


@pytest.mark.long
def test_scopes(started: Client, keys: ApiKeys) -> None:
    """`read` reads, `write` writes, `admin` does everything."""
    client = started()
    tokens = {
        name: keys.create(name, [name]).token for name in ("read", "write", "admin")
    }  # the first key closes the door
    expected = {"read": (404, 403, 403), "write": (403, 202, 403), "admin": (404, 202, 200)}
    client.post("/api/v1/admin/keys", json={"name": "closes"})

    for name, statuses in expected.items():
        answers = (
            client.get(f"{PATH}/{UNKNOWN_ID}", headers=bearer(tokens[name])),
            client.post(PATH, json=LINK, headers=bearer(tokens[name])),
            client.get("/api/v1/admin/keys", headers=bearer(tokens[name])),
        )
        assert tuple(answer.status_code for answer in answers) == statuses, name
        for answer in answers:
            if answer.status_code == 403:
                assert answer.json()["code"] == "forbidden"
                assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_each_sees_their_own(started: Client, keys: ApiKeys, world: World) -> None:
    """An id is not a secret: who has not requested it gets 404, an admin sees it."""
    mine, theirs = (keys.create(name, ["read", "write"]).token for name in ("mine", "theirs"))
    admin = keys.create("admin", ["admin"]).token
    client = started()
    id = client.post(PATH, json=LINK, headers=bearer(mine)).json()["id"]

    for path in (f"{PATH}/{id}", f"{PATH}/{id}/result"):
        assert client.get(path, headers=bearer(mine)).status_code in (200, 409)
        assert client.get(path, headers=bearer(admin)).status_code in (200, 409)
        assert client.get(path, headers=bearer(theirs)).status_code == 404
    assert client.post(PATH, json=LINK, headers=bearer(theirs)).json()["id"] == id
    assert client.get(f"{PATH}/{id}", headers=bearer(theirs)).status_code == 200


@pytest.mark.slow
def test_revoked_and_expired_keys_are_refused(
    started: Client, keys: ApiKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Revoked elsewhere, when the keys are read again; expired, at once."""
    monkeypatch.setattr(api_key_cache, "FRESH_S", 0.0)
    monkeypatch.setattr(api_key_cache, "STALE_S", 0.2)
    revoked = keys.create("revoked", ["read"])
    expired = keys.create("expired", ["read"], expires_in=timedelta(seconds=2)).token
    client = started()
    for token in (revoked.token, expired):
        assert client.get("/api/v1/options", headers=bearer(token)).status_code == 200

    keys.revoke(revoked.row.id)
    time.sleep(2)

    for token, says in ((revoked.token, "was revoked"), (expired, "has expired")):
        answer = client.get("/api/v1/options", headers=bearer(token))
        assert answer.status_code == 401
        assert says in answer.json()["detail"]


def test_a_revoked_key_dies_within_a_minute() -> None:
    """Also if the database does not answer."""
    assert api_key_cache.FRESH_S < api_key_cache.STALE_S <= 10
    assert api_key_cache.LOST_S + api_key_cache.STALE_S <= 60


@pytest.mark.long
def test_a_new_key_works_at_once(started: Client, keys: ApiKeys) -> None:
    """One created elsewhere after a second, although the cache is not due."""
    keys.create("first", ["read"])
    client = started()
    token = keys.create("second", ["read"]).token
    time.sleep(api_key_cache.NEWER_THAN_S)

    assert client.get("/api/v1/options", headers=bearer(token)).status_code == 200


@pytest.mark.long
def test_requests_do_not_query_the_keys(
    started: Client, keys: ApiKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred requests, right and wrong, read the keys once."""
    token = keys.create("newsroom", ["read"]).token
    reads = 0
    whole = ApiKeys.all

    def counted(self: ApiKeys) -> object:
        nonlocal reads
        reads += 1
        return whole(self)

    monkeypatch.setattr(ApiKeys, "all", counted)
    client = started()
    for n in range(50):
        assert client.get("/api/v1/options", headers=bearer(token)).status_code == 200
        client.get("/api/v1/options", headers=bearer(f"ytc_{'a' * 16}_{n:032}"))

    assert reads <= 3


def test_use_is_recorded(started: Client, keys: ApiKeys) -> None:
    """`last_used_at` is written without the request waiting for it."""
    token = keys.create("newsroom", ["read"]).token
    started().get("/api/v1/options", headers=bearer(token))

    wait_for(lambda: keys.all()[0].last_used_at, 5)


@pytest.mark.slow
def test_without_the_database_cached_keys_stay_valid(
    database_switch: DatabaseSwitch, keys: ApiKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For less than a minute; unknown keys are 503, and probes continue."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setattr(api_key_cache, "FRESH_S", 0.0)
    monkeypatch.setattr(api_key_cache, "STALE_S", 0.0)
    token = keys.create("newsroom", ["read"]).token
    with TestClient(create_app(database_switch.settings), base_url=BASE_URL) as client:
        assert client.get("/api/v1/options", headers=bearer(token)).status_code == 200
        database_switch.off()

        assert client.get("/api/v1/options", headers=bearer(token)).status_code == 200
        assert client.get("/api/v1/options").status_code == 401
        monkeypatch.setattr(api_key_cache, "LOST_S", 0.0)
        answer = client.get("/api/v1/options", headers=bearer(token))
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert client.get("/healthz").status_code == 200


def test_beyond_loopback_with_keys(started: Client, keys: ApiKeys) -> None:
    """The API starts, answers under any name, and admits nobody without a key."""
    made = keys.create("newsroom", ["read"])
    client = started("http://192.0.2.7:8000", api_host="0.0.0.0")

    assert client.get("/healthz").status_code == 200
    assert client.get("/api/v1/options").status_code == 401
    assert client.get("/api/v1/options", headers=bearer(made.token)).status_code == 200
    keys.delete(made.row.id)  # and it does not open when the last key is gone
    client.app.state.parts.authenticator.key_cache._rows.clear()  # type: ignore[attr-defined]
    assert client.get("/api/v1/options").status_code == 401


@pytest.mark.long
def test_jwt_gives_access(started: Client) -> None:
    """Once JWTs are configured a token is needed, and its scopes apply."""
    client = started(
        jwt_secret=SecretStr(SECRET), jwt_issuer="https://issuer.example", jwt_audience="ytcaption"
    )

    def token(secret: str = SECRET, **changes: object) -> dict[str, str]:
        good = {
            "iss": "https://issuer.example",
            "aud": "ytcaption",
            "sub": "ada",
            "exp": int(time.time()) + 60,
            "scope": "read",
        }
        return bearer(jwt.encode(good | changes, secret))

    assert client.get("/api/v1/options").status_code == 401
    assert client.get("/api/v1/options", headers=bearer("ytc_no")).status_code == 401
    usage = client.get("/api/v1/usage", headers=token())
    assert usage.json()["owner"] == "jwt:https://issuer.example:ada"
    assert client.post(PATH, json=LINK, headers=token()).status_code == 403
    assert client.post(PATH, json=LINK, headers=token(scope="write")).status_code == 202
    for refused in (token(exp=1), token(aud="x"), token("other-" + SECRET)):
        assert client.get("/api/v1/options", headers=refused).status_code == 401


@pytest.mark.long
def test_published_keys_are_fetched_once_for_all(
    started: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten tokens arrive before the first fetch has ended: none is refused."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    published = json.loads(RSAAlgorithm.to_jwk(private.public_key())) | {"kid": "one"}
    fetches: list[str] = []

    def slow(url: str, **_: object) -> object:
        fetches.append(url)
        time.sleep(0.5)
        return {"keys": [published]}

    monkeypatch.setattr(jwt_tokens, "fetch_json", slow)
    url = "https://issuer.example/jwks"
    client = started(jwt_jwks_url=url, jwt_issuer="i", jwt_audience="a")
    claims = {"iss": "i", "aud": "a", "sub": "ada", "exp": int(time.time()) + 60, "scope": "read"}
    token = jwt.encode(claims, private, algorithm="RS256", headers={"kid": "one"})

    with ThreadPoolExecutor(10) as pool:
        answers = pool.map(
            lambda _: client.get("/api/v1/options", headers=bearer(token)).status_code, range(10)
        )
        assert set(answers) == {200}
    assert fetches == [url]


def test_behind_a_proxy_with_a_prefix_the_same_paths_are_public(
    started: Client, keys: ApiKeys
) -> None:
    """With `--root-path` the prefix does not bypass authentication."""
    keys.create("newsroom", ["read"])
    client = started()
    client._transport.root_path = "/captions"  # type: ignore[attr-defined]

    assert client.get("/captions/healthz").status_code == 200
    for path in ("/captions/api/v1/options", "/captions", "/pages/captions/api/v1/options"):
        assert client.get(path).status_code in (401, 404)
    assert client.get("/captions/api/v1/options").status_code == 401


def test_keys_are_created_and_revoked_over_http(started: Client, keys: ApiKeys) -> None:
    """The first one ends open access; one revoked here is refused at once."""
    client = started()
    body = {"name": "boss", "scopes": ["admin"], "limits": {"requests_per_minute": 1000}}
    made = client.post("/api/v1/admin/keys", json=body)
    admin = bearer(made.json()["key"])
    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    assert keys.all()[0].limits == Limits(1000, None, None)

    assert client.get("/api/v1/admin/keys").status_code == 401
    reader = client.post(
        "/api/v1/admin/keys", json={"name": "r", "expires_in_days": 1}, headers=admin
    ).json()
    listed = client.get("/api/v1/admin/keys", headers=admin)
    assert [row["name"] for row in listed.json()["keys"]] == ["r", "boss"]
    assert reader["key"] not in listed.text and reader["key"].split("_")[2] not in listed.text
    assert client.get("/api/v1/options", headers=bearer(reader["key"])).status_code == 200

    rotated = client.post(f"/api/v1/admin/keys/{reader['id']}/rotate", headers=admin).json()
    assert client.get("/api/v1/options", headers=bearer(reader["key"])).status_code == 401
    reader = rotated
    assert client.get("/api/v1/options", headers=bearer(reader["key"])).status_code == 200

    ended = client.delete(f"/api/v1/admin/keys/{reader['id']}", headers=admin)

    assert ended.json()["revoked_at"]
    assert client.get("/api/v1/options", headers=bearer(reader["key"])).status_code == 401
    missing = client.delete(f"/api/v1/admin/keys/{'a' * 16}", headers=admin)
    assert (missing.status_code, missing.json()["code"]) == (404, "api_key_not_found")


@pytest.mark.parametrize(
    "body",
    [{}, {"name": ""}, {"name": "a\u0000"}, {"name": "a", "scopes": []},
     {"name": "a", "scopes": ["root"]}, {"name": "a", "expires_in_days": 0},
     {"name": "a", "limits": {"requests_per_minute": 0}}, {"name": "a", "secret": "mine"}],
)  # fmt: skip
def test_an_invalid_key_is_not_created(started: Client, keys: ApiKeys, body: dict) -> None:
    """It is answered with 422, and nothing changes."""
    assert started().post("/api/v1/admin/keys", json=body).status_code == 422
    assert not keys.any_exist()


def test_no_secret_is_revealed(
    started: Client, keys: ApiKeys, caplog: pytest.LogCaptureFixture, settings: Settings
) -> None:
    """No key, token or part of their secrets is in a log line or a response."""
    caplog.set_level(logging.DEBUG)
    made = keys.create("newsroom", ["read", "admin"])
    ended = keys.create("ended", ["read"])
    keys.revoke(ended.row.id)
    client = started(
        jwt_secret=SecretStr(SECRET), jwt_issuer="https://issuer.example", jwt_audience="ytcaption"
    )
    expired = jwt.encode({"iss": "x", "aud": "y", "sub": "z", "exp": 1}, SECRET)
    output = ""
    for token in (made.token, ended.token, made.token + "x", expired, expired + "x"):
        for path in ("/api/v1/options", "/api/v1/admin/keys", "/nothing", f"{PATH}/{UNKNOWN_ID}"):
            output += client.get(path, headers=bearer(token)).text
        output += client.post(PATH, content=b"{", headers=bearer(token)).text
    with Postgres.from_settings(settings, "admin").transaction() as connection:
        connection.execute("alter table ytcaption.api_key rename to api_key_away")
    try:
        client.get("/api/v1/options", headers=bearer(f"ytc_{'a' * 16}_{'a' * 32}"))
    finally:
        with Postgres.from_settings(settings, "admin").transaction() as connection:
            connection.execute("alter table ytcaption.api_key_away rename to api_key")

    output += "".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    output += caplog.text
    secrets = [made.token.split("_")[2], ended.token.split("_")[2], made.row.secret_sha256]
    for secret in (*secrets, SECRET, expired, expired.split(".")[2]):
        assert secret not in output


def test_the_log_names_caller_and_address(
    started: Client, keys: ApiKeys, caplog: pytest.LogCaptureFixture
) -> None:
    """The key by its id, and the address as a trusted proxy reports it."""
    made = keys.create("newsroom", ["read"])
    client = started(trusted_proxies=("10.0.0.0/8",))
    client._transport.client = ("10.0.0.1", 5)  # type: ignore[attr-defined]
    caplog.set_level(logging.INFO, "api.access")

    for headers in (bearer(made.token), {}):
        client.head("/api/v1/options", headers=headers | {"X-Forwarded-For": "203.0.113.7"})

    lines = [it.__dict__ for it in caplog.records if it.name == "api.access"]
    assert [it["caller"] for it in lines] == [f"key:{made.row.id}", None]
    assert {it["client"] for it in lines} == {"203.0.113.7"}


def test_cors_lists_exact_origins(started: Client, keys: ApiKeys) -> None:
    """Pages of the listed origin may call with a key and read what they need; others may not."""
    token = keys.create("page", ["read"]).token
    client = started(cors_origins=("https://captions.example.org",))
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    good, bad = {"Origin": "https://captions.example.org"}, {"Origin": "https://evil.example"}

    preflight = client.options(PATH, headers=good | asks)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == good["Origin"]
    refused = client.options(PATH, headers=bad | asks)
    assert (refused.status_code, refused.json()["code"]) == (400, "cors_refused")
    assert "Access-Control-Allow-Origin" not in refused.headers

    answer = client.get("/api/v1/options", headers=good | bearer(token))
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert answer.headers["Access-Control-Allow-Origin"] == good["Origin"]
    for name in ("Location", "Retry-After", "ETag", "RateLimit", "RateLimit-Policy"):
        assert name in exposed.split(", ")
    assert "X-Request-Id" in exposed
    for origin in (bad["Origin"], "null", "https://captions.example.org.evil"):
        headers = {"Origin": origin} | bearer(token)
        assert "Access-Control-Allow-Origin" not in client.get("/healthz", headers=headers).headers
    unknown = client.get("/api/v1/options", headers=good)
    assert unknown.status_code == 401  # and the page can read why
    assert unknown.headers["Access-Control-Allow-Origin"] == good["Origin"]


@pytest.mark.parametrize("origins", ["*", "example.org", "https://a.example/path", "https://*.a"])
def test_cors_refuses_patterns(monkeypatch: pytest.MonkeyPatch, origins: str) -> None:
    """`*` would open a local API to every page."""
    monkeypatch.setenv("YTCAPTION_CORS_ORIGINS", origins)
    with pytest.raises(Exception, match="YTCAPTION_CORS_ORIGINS"):
        load_settings()


@pytest.mark.long
def test_the_document_names_the_scheme(started: Client) -> None:
    """Generated clients send the key; public paths say so."""
    document = started().get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, item in document["paths"].items():
        for operation in item.values():
            guarded = path not in FREE
            assert ("security" in operation) is guarded, path
            assert ({"401", "403", "429"} <= set(operation["responses"])) is guarded, path
