"""A notifier sends what the outbox holds, to real servers. Hostile ones: tests/security."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from email.utils import formatdate

import pytest

from resources.webhooks import notifier
from resources.webhooks import sender as webhook_sender
from resources.webhooks.notifier import Notifier
from resources.webhooks.outbox import Outbox
from tests.resources.webhooks.notifying import box, here, notifying, receiver, settled  # noqa: F401
from tests.resources.webhooks.outboxes import Box
from tests.support.paths import ROOT
from tests.support.servers.webhook_receiver import (
    Answer,
    WebhookReceiver,
)
from ytcaption.domain.webhook import DEFAULT_WEBHOOK_EVENTS
from ytcaption.settings.settings import Settings

EXAMPLE = ROOT / "examples" / "webhook_receiver.py"


def test_an_event_is_delivered_and_verified(
    box: Box, here: Settings, receiver: WebhookReceiver
) -> None:
    """Signed, within a moment, with ids and links and not the text; again only where it failed."""
    webhook = box.webhook(receiver.url(), event_types=DEFAULT_WEBHOOK_EVENTS)
    receiver.secrets.append(box.webhooks.secrets(webhook.id, "local").secret)
    with notifying(here):
        id = box.completed(text="Geheimwort")
        [received] = receiver.wait(1)
        [row] = settled(box, 1)
    assert received.verified_by == (0,)
    assert received.id == str(row["event_id"])
    assert abs(float(received.headers["webhook-timestamp"]) - received.at) < 5
    message = json.loads(received.body)
    assert message["type"] == "transcription.completed"
    assert message["data"]["id"] == id
    assert message["data"]["status_url"] == f"/api/v1/transcriptions/{id}"
    assert b"Geheimwort" not in received.body and len(received.body) <= 20_000
    assert (row["status"], row["last_outcome"]) == ("delivered", "delivered")


@pytest.mark.long
def test_an_event_wakes_it(
    box: Box, here: Settings, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not have to look by itself."""
    monkeypatch.setattr(notifier, "POLL_S", 600.0)
    with notifying(here):
        for number in range(3):
            box.failed(f"m{number}", callback=receiver.url())
            receiver.wait(number + 1)


def test_what_nobody_tells_of_is_found(
    box: Box, here: Settings, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NOTIFY is a hint: without any it looks by itself."""

    async def listens_to_nothing(self: Notifier) -> None:
        await asyncio.sleep(3600)

    monkeypatch.setattr(Notifier, "_listen", listens_to_nothing)
    monkeypatch.setattr(notifier, "POLL_S", 0.1)
    with notifying(here):
        box.failed(callback=receiver.url())
        receiver.wait(1)


@pytest.mark.long
def test_the_text_is_included_on_request(
    box: Box, settings: Settings, here: Settings, receiver: WebhookReceiver
) -> None:
    """While the whole has 20 kB at most; links begin with the public address."""
    public = here.changed(public_url="https://captions.example.org")
    with notifying(public):
        box.completed("short", text="Ask not.", callback=receiver.url("/short"), include="result")
        box.completed(
            "long", text="word " * 5_000, callback=receiver.url("/long"), include="result"
        )
        box.completed("edge", text="é" * 9_990, callback=receiver.url("/edge"), include="result")
        receiver.wait(3)
    data = {
        path: json.loads(receiver.at(path)[0].body)["data"] for path in ("/short", "/long", "/edge")
    }
    assert data["/short"]["result"] == {"language": "en", "duration_s": 0.6, "text": "Ask not."}
    assert data["/long"]["result"] is None and data["/edge"]["result"] is None
    assert data["/short"]["result_url"].startswith("https://captions.example.org/api/v1/")


@pytest.mark.long
def test_after_a_rotation_both_secrets_sign_for_a_day(
    box: Box, here: Settings, receiver: WebhookReceiver
) -> None:
    """Receivers may change over in their own time; then the old one is void."""
    webhook = box.webhook(receiver.url())
    receiver.secrets.append(box.webhooks.secrets(webhook.id, "local").secret)
    rotated = box.webhooks.rotate(webhook.id, "local")
    receiver.secrets.append(rotated.secret)
    assert rotated.earlier == (receiver.secrets[0],)
    with notifying(here):
        box.failed("a")
        assert receiver.wait(1)[0].verified_by == (0, 1)
        settled(box, 1)
        box.pass_time(24 * 3600 + 1)
        box.failed("b")
        assert receiver.wait(2)[1].verified_by == (1,)
    sealed = [row["sealed"] for row in box.rows("select * from ytcaption.webhook_secret")]
    assert not any(secret[6:] in str(sealed) for secret in receiver.secrets)


@pytest.mark.long
def test_each_answer_means_one_thing(box: Box, here: Settings, receiver: WebhookReceiver) -> None:
    """2xx is success, 3xx is not followed, 410 ends it, `Retry-After` is heeded, 4 KiB are kept."""
    later = formatdate(time.time() + 7200, usegmt=True)
    receiver.answers |= {
        "/200": Answer(200, body=b"ok"),
        "/302": Answer(302, (("location", receiver.url("/trap")),)),
        "/400": Answer(400),
        "/410": Answer(410),
        "/429": Answer(429, (("retry-after", "3600"),)),
        "/503": Answer(503, (("retry-after", later),), body=b"\x00busy" * 2_000),
    }
    with notifying(here):
        for path in list(receiver.answers):
            box.failed(path[1:], callback=receiver.url(path))
        rows = {row["url"]: row for row in settled(box, 6)}
        found = {path: rows[receiver.url(path)] for path in receiver.answers if path != "/trap"}
    assert receiver.at("/trap") == []
    assert {path: (row["status"], row["last_outcome"]) for path, row in found.items()} == {
        "/200": ("delivered", "delivered"),
        "/302": ("waiting", "redirected"),
        "/400": ("waiting", "refused"),
        "/410": ("dead", "gone"),
        "/429": ("waiting", "refused"),
        "/503": ("waiting", "server_error"),
    }
    waits = {
        path: (row["next_attempt_at"] - row["created_at"]).total_seconds()
        for path, row in found.items()
    }
    assert waits["/400"] < 60
    assert 3_500 < waits["/429"] < 3_700 and 7_100 < waits["/503"] < 7_300
    attempts = box.rows("select * from ytcaption.delivery_attempt where status_code = 503")
    assert 3_000 < len(attempts[0]["answer"]) <= 4_096


@pytest.mark.long
def test_a_failed_attempt_is_made_again_with_the_same_id(
    box: Box, here: Settings, receiver: WebhookReceiver
) -> None:
    """It has a time and a signature of its own."""
    receiver.answers["/hook"] = Answer(500)
    webhook = box.webhook(receiver.url())
    receiver.secrets.append(box.webhooks.secrets(webhook.id, "local").secret)
    with notifying(here):
        box.failed()
        settled(box, 1)
        receiver.answers["/hook"] = Answer(204)
        box.pass_time(10)
        box.failed("wakes")  # nobody tells a notifier that its clock was set
        settled(box, 3)
    first, second = [each for each in receiver.received if each.id == receiver.received[0].id]
    assert first.verified_by == second.verified_by == (0,)
    assert first.body == second.body


@pytest.mark.parametrize("is_parsed", [True, False])
def test_a_date_that_does_not_exist_counts_as_an_attempt(
    box: Box,
    here: Settings,
    receiver: WebhookReceiver,
    monkeypatch: pytest.MonkeyPatch,
    is_parsed: bool,
) -> None:
    """So does any answer that raises what the sender does not expect."""
    if not is_parsed:

        def overflows(*_: object) -> float:
            raise OverflowError

        monkeypatch.setattr(webhook_sender, "retry_after_s", overflows)
    never = "Tue, 99 Nov 9999999999 00:00:00 GMT"
    receiver.answers["/hook"] = Answer(503, (("retry-after", never),))
    with notifying(here):
        box.failed(callback=receiver.url())
        (row,) = settled(box, 1)
    outcome = "server_error" if is_parsed else "bad_answer"
    assert (row["status"], row["last_outcome"]) == ("waiting", outcome)
    assert row["next_attempt_at"] > row["created_at"] and row["lease"] is None


def test_a_slow_receiver_delays_nobody_else(
    box: Box, here: Settings, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has four places, by which none of the others waits."""
    monkeypatch.setattr(webhook_sender.Sender.__init__, "__defaults__", (25.0,))
    release = threading.Event()
    with WebhookReceiver() as slow, notifying(here):
        slow.answers["/hook"] = Answer(act=lambda _: release.wait(60))
        for number in range(8):
            box.failed(f"m{number}", callback=slow.url())
        slow.wait(4)
        box.failed("quick", callback=receiver.url("/quick"))
        receiver.wait(1, "/quick")
        assert len(slow.received) == 4
        release.set()


@pytest.mark.long
def test_two_notifiers_send_each_once(box: Box, here: Settings, receiver: WebhookReceiver) -> None:
    """They run side by side and do not communicate."""
    with notifying(here), notifying(here):
        for number in range(20):
            box.failed(f"m{number}", callback=receiver.url(f"/{number}"))
        settled(box, 20)
    ids = [received.id for received in receiver.received]
    assert len(ids) == len(set(ids)) == 20


def test_the_example_receiver_takes_it(box: Box, here: Settings) -> None:
    """`examples/webhook_receiver.py` accepts a delivery, and refuses one with another secret."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    webhook = box.webhook(f"http://127.0.0.1:{port}/")
    secret = box.webhooks.secrets(webhook.id, "local").secret
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE), str(port)],
        env=os.environ | {"YTCAPTION_WEBHOOK_SECRET": secret},
        stderr=subprocess.DEVNULL,
    )
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert process.poll() is None
            time.sleep(0.05)
        box.failed("a")
        with notifying(here):
            assert settled(box, 1)[0]["last_outcome"] == "delivered"
            box.webhook(f"http://127.0.0.1:{port}/", owner="key:other")
            box.failed("b", owner="key:other")
            assert settled(box, 2)[1]["last_outcome"] == "refused"
    finally:
        process.kill()
        process.wait()


def test_what_a_dead_notifier_claimed_is_sent_by_the_next(
    box: Box, here: Settings, receiver: WebhookReceiver
) -> None:
    """The next notifier sends it when the lease has ended."""
    box.failed(callback=receiver.url())
    [claimed] = Outbox(box.postgres).claim(9)
    box.pass_time(31)
    with notifying(here):
        [received] = receiver.wait(1)
        [row] = settled(box, 1)
    assert received.id == str(claimed.message.event_id)
    assert row["status"] == "delivered"


def test_a_lost_key_is_no_loss_of_events(
    box: Box, here: Settings, receiver: WebhookReceiver
) -> None:
    """What cannot be signed is not sent, and goes out once it can be."""
    webhook = box.webhook(receiver.url())
    key = here.home / "webhook.key"
    assert key.stat().st_mode & 0o777 == 0o600
    kept = key.read_bytes()
    key.unlink()
    box.failed()
    with notifying(here):
        assert settled(box, 1)[0]["last_outcome"] == "secret_unreadable"
    key.write_bytes(kept)
    receiver.secrets.append(box.webhooks.secrets(webhook.id, "local").secret)
    box.pass_time(10)
    with notifying(here):
        assert receiver.wait(1)[0].verified_by == (0,)
