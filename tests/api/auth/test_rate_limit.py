"""Rate limits: headers, 429, per key or address, shared by replicas."""

import asyncio
import logging
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.app import create_app
from api.auth import rate_limit
from api.auth.rate_limit import RateLimiter
from api.http.client_address import client_address
from resources.auth.api_keys import ApiKeys
from tests.api.conftest import Start
from tests.support.patience import patience, wait_for
from ytcaption.domain.caller import Limits
from ytcaption.domain.errors import SetupError
from ytcaption.domain.media.addresses import client_network
from ytcaption.settings.settings import Settings

REDIS = shutil.which("redis-server") or shutil.which("valkey-server")
PATH = "/api/v1/options"


@pytest.fixture
def key(settings: Settings) -> Callable[..., dict[str, str]]:
    """Return a function that creates a key and returns its header."""

    def make(**limits: int) -> dict[str, str]:
        made = ApiKeys.from_settings(settings).create("k", ["read"], limits=Limits(**limits))
        return {"Authorization": f"Bearer {made.token}"}

    return make


def accepts(port: int) -> bool:
    """Return whether something listens on the port."""
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


class Redis:
    """A real server on its own port, which can be stopped and started."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert REDIS is not None
        self._process = subprocess.Popen(
            [REDIS, "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
        wait_for(lambda: accepts(self.port), 10)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """Yield a running server."""
    if REDIS is None:
        pytest.skip("no redis-server or valkey-server is installed")
    server = Redis(tmp_path)
    server.start()
    yield server
    server.stop()


def fields(answer: object) -> tuple[int, int, int, int]:
    """Return q and w of RateLimit-Policy, r and t of RateLimit."""
    headers = answer.headers  # type: ignore[attr-defined]
    policy = re.fullmatch(r'"requests";q=(\d+);w=(\d+)', headers["RateLimit-Policy"])
    left = re.fullmatch(r'"requests";r=(\d+);t=(\d+)', headers["RateLimit"])
    assert policy and left
    return int(policy[1]), int(policy[2]), int(left[1]), int(left[2])


def test_each_response_says_what_is_left(start: Start, key) -> None:
    """draft-ietf-httpapi-ratelimit-headers-11: the policy and what is left of it; errors, too."""
    headers = key(requests_per_minute=10)
    client = start()

    seen = [fields(client.get(path, headers=headers)) for path in (PATH, "/nothing", PATH)]

    assert [(q, w, r) for q, w, r, _ in seen] == [(10, 60, 9), (10, 60, 8), (10, 60, 7)]
    assert all(0 <= t <= 60 for *_, t in seen)


@pytest.mark.long
def test_more_than_the_limit_is_429(start: Start, key) -> None:
    """With Retry-After; other keys are not affected, and public paths stay public."""
    headers, other = key(requests_per_minute=3), key(requests_per_minute=3)
    client = start()

    answers = [client.get(PATH, headers=headers) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    refused = answers[-1]
    assert refused.json()["code"] == "rate_limited"
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert fields(refused)[2] == 0
    assert client.get(PATH, headers=other).status_code == 200
    assert client.get("/healthz", headers=headers).status_code == 200


def test_a_key_without_a_limit_has_the_settings(start: Start, key) -> None:
    """Every key has a limit."""
    headers = key()
    assert fields(start(requests_per_minute=7).get(PATH, headers=headers))[:3] == (7, 60, 6)


def test_open_on_loopback_nothing_is_counted(start: Start) -> None:
    """Without keys there is only the local user."""
    client = start(requests_per_minute=1)
    answers = [client.get(PATH) for _ in range(5)]
    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit" not in answers[0].headers


def test_guesses_are_counted_by_address(start: Start, key) -> None:
    """Wrong keys from one address end in 429; a right one from there still works."""
    headers = key()
    client = start(requests_per_minute=3)

    wrong = [{"Authorization": f"Bearer ytc_{'a' * 16}_{n:032}"} for n in range(5)]
    statuses = [client.get(PATH, headers=it).status_code for it in wrong]

    assert statuses == [401, 401, 401, 429, 429]
    assert client.get(PATH, headers=headers).status_code == 200


def test_the_address_comes_from_trusted_proxies_only(start: Start, key) -> None:
    """A forged X-Forwarded-For has no effect; behind a trusted proxy each client has its limit."""
    key()

    def tries(client: TestClient) -> list[int]:
        forwarded = [{"X-Forwarded-For": f"203.0.113.{n}"} for n in range(4)]
        return [client.get(PATH, headers=it).status_code for it in forwarded]

    assert tries(start(requests_per_minute=2)) == [401, 401, 429, 429]
    client = start(requests_per_minute=2, trusted_proxies=("10.0.0.0/8",))
    client._transport.client = ("10.1.2.3", 5)  # type: ignore[attr-defined]
    assert tries(client) == [401] * 4


def scope(client: str, *forwarded: str) -> dict:
    """Return a request from this address with these headers."""
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return {"type": "http", "client": (client, 1), "headers": headers}


@pytest.mark.parametrize(
    ("client", "forwarded", "address"),
    [
        ("10.0.0.1", ("203.0.113.7",), "203.0.113.7"),
        ("10.0.0.1", ("6.6.6.6, 203.0.113.7",), "203.0.113.7"),
        ("10.0.0.1", ("6.6.6.6", "203.0.113.7, 10.0.0.2"), "203.0.113.7"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("unknown",), "10.0.0.1"),
        ("10.0.0.1", ("6.6.6.6, _hidden",), "10.0.0.1"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("10.0.0.1", ("10.0.0.3, 10.0.0.2",), "10.0.0.3"),
        ("203.0.113.9", ("6.6.6.6",), "203.0.113.9"),
        ("::ffff:10.0.0.1", ("2001:db8::1",), "2001:db8::1"),
        ("testclient", ("6.6.6.6",), "testclient"),
    ],
)
def test_the_client_address(client: str, forwarded: tuple[str, ...], address: str) -> None:
    """It is the nearest one that is not a trusted proxy's."""
    assert client_address(scope(client, *forwarded), ("10.0.0.0/8",)) == address
    assert client_address(scope(client, *forwarded), ()) == client


def test_an_ipv6_client_has_a_network_to_itself() -> None:
    """Limits apply to its /64, which has 2^64 addresses."""
    assert client_network("2001:db8::1") == client_network("2001:db8::ffff:1") == "2001:db8::/64"
    assert client_network("2001:db8:0:1::1") != client_network("2001:db8::1")
    assert client_network("::ffff:192.0.2.1") == client_network("192.0.2.1") == "192.0.2.1"


@pytest.mark.long
def test_replicas_share_limits_in_redis(start: Start, key, redis: Redis) -> None:
    """Two API processes count as one; without Redis each counts alone."""
    headers = key(requests_per_minute=4)
    shared = [start(rate_limit_url=SecretStr(redis.url)) for _ in range(2)]
    statuses = [shared[n % 2].get(PATH, headers=headers).status_code for n in range(6)]
    assert statuses == [200] * 4 + [429] * 2

    alone = [start() for _ in range(2)]
    statuses = [alone[n % 2].get(PATH, headers=headers).status_code for n in range(6)]
    assert statuses == [200] * 6


def test_without_redis_requests_still_pass(
    start: Start,
    key,
    redis: Redis,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are fast and counted by this process, and the log says so once. Later Redis counts
    again."""
    monkeypatch.setattr(rate_limit, "REDIS_COOLDOWN_S", 0.3)
    headers = key(requests_per_minute=5)
    redis.stop()
    client = start(rate_limit_url=SecretStr(redis.url))

    caplog.set_level(logging.WARNING)
    started_at = time.perf_counter()
    statuses = [client.get(PATH, headers=headers).status_code for _ in range(7)]

    assert time.perf_counter() - started_at < 3 * patience()
    assert statuses == [200] * 5 + [429] * 2
    warnings = [it for it in caplog.records if "Redis does not answer" in it.getMessage()]
    assert len(warnings) == 1
    assert str(redis.port) not in caplog.text

    redis.start()
    time.sleep(0.4)
    assert client.get(PATH, headers=headers).status_code == 200  # counted there, from the start


def test_readiness_reports_an_unreachable_redis(start: Start, redis: Redis) -> None:
    """It is not required: the status stays 200."""
    client = start(rate_limit_url=SecretStr(redis.url))
    assert client.get("/readyz").json()["dependencies"]["rate_limits"]["ready"]
    redis.stop()

    answer = client.get("/readyz")

    part = answer.json()["dependencies"]["rate_limits"]
    assert (answer.status_code, part["ready"], part["required"]) == (200, False, False)
    assert "counts requests for itself" in part["reason"]
    assert str(redis.port) not in answer.text


def test_a_hanging_redis_is_skipped_for_a_while(key, redis: Redis, caplog) -> None:
    """It costs half a second once, not for every request."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, answers nothing
        limiter = RateLimiter(f"redis://127.0.0.1:{silent.getsockname()[1]}")

        async def ask() -> list[bool]:
            return [(await limiter.hit("x", 3)).allowed for _ in range(5)]

        started_at = time.perf_counter()
        assert asyncio.run(ask()) == [True] * 3 + [False] * 2
        assert time.perf_counter() - started_at < 2 * patience()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:6379", "memcached://x", "", "redis", "redis://:hunter2@host:x"]
)
def test_an_address_that_is_no_redis_is_refused_at_the_start(settings: Settings, url: str) -> None:
    """The error names the variable, not the URL, which may hold a password."""
    with pytest.raises(SetupError, match="YTCAPTION_RATE_LIMIT_URL") as error:
        create_app(settings.changed(rate_limit_url=SecretStr(url)))
    assert "hunter2" not in str(error.value)


def test_the_window_slides() -> None:
    """What was used becomes available again; peeking counts nothing."""

    async def ask() -> None:
        limiter = RateLimiter(None)
        for _ in range(3):
            assert (await limiter.hit("x", 3)).allowed
        peeked = [await limiter.peek("x", 3) for _ in range(3)]
        assert {(it.allowed, it.remaining) for it in peeked} == {(False, 0)}
        assert (await limiter.peek("y", 3)).remaining == 3

    asyncio.run(ask())


def test_a_clock_that_is_set_back_locks_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has used up a minute waits for a minute at most, not until the clock has caught up."""
    offset_s, right = 0.0, time.time
    monkeypatch.setattr(time, "time", lambda: right() + offset_s)

    async def hits() -> list[bool]:
        nonlocal offset_s
        limiter = RateLimiter(None)
        allowed = [(await limiter.hit("a", 2)).allowed for _ in range(3)]
        offset_s = -3_600.0
        after = await limiter.hit("a", 2)
        assert after.reset_s <= rate_limit.WINDOW_S
        return [*allowed, after.allowed]

    assert asyncio.run(hits()) == [True, True, False, True]
