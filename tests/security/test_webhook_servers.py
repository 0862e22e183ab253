"""Servers that webhooks are sent to and that mean harm: each attempt ends, told by its outcome."""

import socket
import threading
import time
from collections.abc import Callable

import pytest

from resources.webhooks import sender as webhook_sender
from resources.webhooks.sender import LIMIT_S
from tests.resources.webhooks.notifying import box, here, notifying, receiver, settled  # noqa: F401
from tests.resources.webhooks.outboxes import Box
from tests.security.names import Names
from tests.support.servers.webhook_receiver import (
    Answer,
    WebhookReceiver,
)
from ytcaption.settings.settings import Settings

TEN_GB = 10 * 10**9
GIVE_UP_S = 1.0
"""In place of the 15 s that an attempt may take."""

Act = Callable[[socket.socket], None]
outflow: list[int] = []
"""Bytes that each server got rid of."""


def flood(head: bytes, block: bytes = b"y" * 16_384) -> Act:
    """More than anybody reads: 10 GB, of which the receiver takes what it takes."""

    def act(connection: socket.socket) -> None:
        sent = 0
        try:
            connection.sendall(head)
            while sent < TEN_GB:
                connection.sendall(block)
                sent += len(block)
        except OSError:
            pass
        outflow.append(sent)

    return act


def drip(head: bytes) -> Act:
    """An answer that never ends, a byte at a time."""

    def act(connection: socket.socket) -> None:
        try:
            connection.sendall(head)
            while True:
                connection.sendall(b"x")
                time.sleep(0.05)
        except OSError:
            pass

    return act


def say(data: bytes) -> Act:
    """These bytes, and hangs up."""
    return lambda connection: connection.sendall(data)


OK = b"HTTP/1.1 200 OK\r\n"
FLOODS = [
    ("a body of 10 GB", flood(OK + f"content-length: {TEN_GB}\r\n\r\n".encode()), "delivered"),
    ("a body without end", flood(OK + b"connection: close\r\n\r\n"), "delivered"),
    ("chunks without end",
     flood(OK + b"transfer-encoding: chunked\r\n\r\n", b"4000\r\n" + b"y" * 16_384 + b"\r\n"),
     "delivered"),
    ("a body that unpacks to more",
     flood(OK + b"content-encoding: gzip\r\n\r\n", b"\x1f\x8b\x08" + bytes(16_384)), "delivered"),
    ("a refusal of 10 GB",
     flood(f"HTTP/1.1 403 No\r\ncontent-length: {TEN_GB}\r\n\r\n".encode()), "refused"),
    ("a header without end", flood(OK + b"x: "), "bad_answer"),
    ("headers without end", flood(OK, b"x: y\r\n" * 2_000), "bad_answer"),
    ("100 Continue without end", flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 600), "bad_answer"),
    ("a status line without end", flood(b"HTTP/1.1 200 "), "bad_answer"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "outcome"), [r[1:] for r in FLOODS], ids=[r[0] for r in FLOODS])
def test_little_is_read_of_a_flood(
    box: Box, here: Settings, receiver: WebhookReceiver, act: Act, outcome: str
) -> None:
    """Its status counts where it has one; 64 KiB are read at most, beside what sockets hold."""
    outflow.clear()
    receiver.answers["/hook"] = Answer(act=act)
    with notifying(here):
        box.failed(callback=receiver.url())
        [row] = settled(box, 1)
    assert row["last_outcome"] == outcome
    [attempt] = box.rows("select * from ytcaption.delivery_attempt")
    assert len(attempt["answer"]) <= webhook_sender.KEPT_BYTES
    receiver.until_answered()
    assert outflow[0] < 16 * 1024**2


SLOW = [
    ("a head by drops", drip(OK), "timeout"),
    ("a body by drops", drip(OK + b"content-length: 5000\r\n\r\n"), "timeout"),
    ("not a byte", lambda connection: threading.Event().wait(3), "timeout"),
]


@pytest.mark.long
@pytest.mark.parametrize(("act", "outcome"), [r[1:] for r in SLOW], ids=[r[0] for r in SLOW])
def test_a_slow_answer_is_given_up(
    box: Box,
    here: Settings,
    receiver: WebhookReceiver,
    monkeypatch: pytest.MonkeyPatch,
    act: Act,
    outcome: str,
) -> None:
    """The limit is for all of it: a byte now and then does not lengthen it."""
    assert LIMIT_S == 15
    monkeypatch.setattr(webhook_sender.Sender.__init__, "__defaults__", (GIVE_UP_S,))
    receiver.answers["/hook"] = Answer(act=act)
    with notifying(here):
        box.failed(callback=receiver.url())
        [row] = settled(box, 1)
    assert row["last_outcome"] == outcome
    [attempt] = box.rows("select * from ytcaption.delivery_attempt")
    assert GIVE_UP_S <= attempt["took_s"] < GIVE_UP_S + 2


NONSENSE = [
    ("another protocol", say(b"SSH-2.0-x\r\n\r\n"), "bad_answer"),
    ("nothing at all", say(b""), "bad_answer"),
    ("half a head", say(b"HTTP/1.1 200 OK\r\ncontent-le"), "bad_answer"),
    ("a status of words", say(b"HTTP/1.1 yes OK\r\n\r\n"), "bad_answer"),
    ("a status beyond all", say(b"HTTP/1.1 9999999 OK\r\n\r\n"), "bad_answer"),
    ("two lengths", say(OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nx"), "bad_answer"),
    ("a length below zero", say(OK + b"content-length: -1\r\n\r\n"), "bad_answer"),
    ("a NUL in a header", say(OK + b"x: a\x00b\r\n\r\n"), "bad_answer"),
    ("another protocol from here on", say(b"HTTP/1.1 101 Go\r\nupgrade: x\r\n\r\n"), "bad_answer"),
    ("a time to wait without end",
     say(b"HTTP/1.1 429 x\r\nretry-after: 99999999999999999999\r\ncontent-length: 0\r\n\r\n"),
     "refused"),
    ("a time to wait in the past",
     say(b"HTTP/1.1 503 x\r\nretry-after: -5\r\ncontent-length: 0\r\n\r\n"), "server_error"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("act", "outcome"), [r[1:] for r in NONSENSE], ids=[r[0] for r in NONSENSE]
)
def test_nonsense_is_an_attempt_that_failed(
    box: Box, here: Settings, receiver: WebhookReceiver, act: Act, outcome: str
) -> None:
    """Tried again, within a day at the latest."""
    receiver.answers["/hook"] = Answer(act=act)
    with notifying(here):
        box.failed(callback=receiver.url())
        [row] = settled(box, 1)
    assert (row["status"], row["last_outcome"]) == ("waiting", outcome)
    wait_s = (row["next_attempt_at"] - row["created_at"]).total_seconds()
    assert 3 < wait_s < 25 * 3600


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_no_redirect_is_followed(
    box: Box, here: Settings, receiver: WebhookReceiver, status: int
) -> None:
    """No redirect is followed, to the same server nor to an inside one."""
    targets = {"/same": receiver.url("/trap"), "/inside": "http://169.254.169.254/latest/meta-data"}
    for path, target in targets.items():
        receiver.answers[path] = Answer(status, (("location", target),))
    with notifying(here):
        for path in targets:
            box.failed(path[1:], callback=receiver.url(path))
        rows = settled(box, 2)
    assert {row["last_outcome"] for row in rows} == {"redirected"}
    assert receiver.at("/trap") == []


def test_a_receiver_leaves_nothing_behind(
    box: Box, here: Settings, receiver: WebhookReceiver
) -> None:
    """Its cookies go to nobody, not even to another webhook on its own host."""
    receiver.answers["/one"] = Answer(200, (("set-cookie", "a=b; path=/"),))
    with notifying(here):
        box.failed("one", callback=receiver.url("/one"))
        settled(box, 1)
        box.failed("two", callback=receiver.url("/two"))
        settled(box, 2)
    assert [received.headers.get("cookie") for received in receiver.received] == [None, None]


PRIVATE = [
    "http://127.0.0.1/", "http://localhost/", "http://2130706433/", "http://[::1]/",
    "http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "http://[64:ff9b::a9fe:a9fe]/",
    "http://0.0.0.0/", "http://[::ffff:127.0.0.1]/", "http://100.64.0.1/",
]  # fmt: skip


@pytest.mark.long
def test_private_addresses_are_not_reached(
    box: Box, settings: Settings, receiver: WebhookReceiver, names: Names
) -> None:
    """Neither by their spelling, nor by a name that leads there, nor by one among public ones."""
    names.answer("private.example.org", ["127.0.0.1"])
    names.answer("mixed.example.org", ["93.184.216.34", "127.0.0.1"])
    names.answer("mapped.example.org", ["::ffff:127.0.0.1"])
    urls = [*PRIVATE, *(f"http://{name}.example.org/" for name in ("private", "mixed", "mapped"))]
    port = receiver.url().split(":")[2].split("/")[0]
    for number, url in enumerate([*urls, f"http://93.184.216.34:{port}/"]):
        box.failed(f"m{number}", callback=url)
    with notifying(settings):  # where no network is allowed
        rows = settled(box, len(urls) + 1)
    assert {row["last_outcome"] for row in rows} == {"blocked_address"}
    assert receiver.received == []
    assert names.lookups["mixed.example.org"] == 1


def test_a_name_that_changes_between_check_and_connection_gains_nothing(
    box: Box, settings: Settings, receiver: WebhookReceiver, names: Names
) -> None:
    """It is looked up once, and the connection goes where the check was, under the host's name."""
    only = settings.changed(allowed_networks=("127.0.0.1/32",))
    names.answer("rebind.example.org", ["127.0.0.1"], ["127.0.0.2"])
    names.answer("late.example.org", ["127.0.0.2"], ["127.0.0.1"])
    with notifying(only):
        box.failed("a", callback=receiver.url("/first", host="rebind.example.org"))
        [received] = receiver.wait(1)
        settled(box, 1)
        box.failed("b", callback=receiver.url("/second", host="rebind.example.org"))
        box.failed("c", callback=receiver.url("/third", host="late.example.org"))
        rows = {row["url"].rpartition("/")[2]: row["last_outcome"] for row in settled(box, 3)}
    assert rows == {"first": "delivered", "second": "blocked_address", "third": "blocked_address"}
    assert received.headers["host"].startswith("rebind.example.org:")
    assert (names.lookups["rebind.example.org"], names.lookups["late.example.org"]) == (2, 1)
    assert len(receiver.received) == 1
