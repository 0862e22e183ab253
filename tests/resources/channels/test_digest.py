"""Digests of a channel's items are sent to operators as often as wanted."""

import json

import pytest
from pydantic import SecretStr

from resources.alerts import Operators
from resources.channels.digest import MAX_SHOWN, ChannelDigests
from resources.channels.intake import ChannelIntake
from resources.channels.runs import ChannelRuns
from resources.channels.store import ChannelStore
from resources.postgres.connection import Postgres
from tests.resources.webhooks.notifying import box, here, notifying, receiver  # noqa: F401 - fixtures
from tests.resources.webhooks.outboxes import RUN, Box
from tests.support.channel_lists import page, plan, source
from tests.support.servers.webhook_receiver import (
    Answer,
    Received,
    WebhookReceiver,
)
from ytcaption.settings.settings import Settings

CLOCKS = ("digest_until", "digest_at")


class Subscribed:
    """A channel with a digest, and its items."""

    def __init__(self, box: Box, numbers: range, digest: str = "daily") -> None:
        self.box = box
        self.store = ChannelStore.from_settings(box.settings, "admin")
        self.id = self.store.create(source(), plan(digest=digest))[0].id
        runs = Postgres.from_settings(box.settings, "dagster")
        ChannelRuns(postgres=runs).claim(self.id, "listing")
        ChannelIntake(postgres=runs).add_page(self.id, "listing", page(numbers))
        items = self.store.items(self.id, limit=200)
        self.ids = [each.transcription_id or "" for each in reversed(items)]

    def fail(self, id: str) -> None:
        self.box.run_store.claim(id, RUN)
        self.box.run_store.fail(
            id, RUN, "media_private", "Private.", retryable=False, max_attempts=4
        )

    def pass_time(self, hours: float) -> None:
        """Move the clocks forward, also for items that have ended."""
        with self.store.postgres.transaction() as connection:
            for table, columns in (
                ("channel", CLOCKS),
                ("transcription", ("completed_at", "updated_at")),
            ):
                for column in columns:
                    connection.execute(
                        f"update ytcaption.{table} "  # pyright: ignore
                        f"set {column} = {column} - make_interval(secs => %s)",
                        (hours * 3600,),
                    )


@pytest.fixture
def notified_settings(here: Settings, receiver: WebhookReceiver) -> Settings:
    """Return settings whose operators are notified at the receiver."""
    url = receiver.url("/chat").replace("http://", "json://")
    public = {"notify_urls": SecretStr(url), "public_url": "https://captions.example.org"}
    return here.changed(**public)


def digests_of(settings: Settings, box: Box) -> ChannelDigests:
    return ChannelDigests(Operators(settings), box.postgres, settings.api.public_url)


def message(received: Received) -> tuple[str, str]:
    body = json.loads(received.body)
    return body["title"], body["message"]


@pytest.mark.long
def test_digest_is_one_message_per_day(
    box: Box,
    notified_settings: Settings,
    receiver: WebhookReceiver,
) -> None:
    """It has titles, lengths, links and reasons, each of them once."""
    channel, digests = Subscribed(box, range(4, 0, -1)), digests_of(notified_settings, box)
    first, second, third, _ = channel.ids
    assert digests.send_due_alerts() == 0
    box.complete(first)
    box.complete(second)
    channel.fail(third)
    assert digests.send_due_alerts() == 0  # a day has not passed
    channel.pass_time(24.1)
    assert digests.send_due_alerts() == 1
    title, text = message(receiver.wait(1)[0])
    assert title.endswith("2 transcribed, 1 failed")
    assert "Transcribed: 2\n- Part 2 (" in text
    assert f"https://captions.example.org/api/v1/transcriptions/{first}" in text
    assert "Failed: 1\n- Part 3 (media_private)" in text
    assert "In the queue: 1. To be queued: 0." in text
    channel.pass_time(24.1)
    assert digests.send_due_alerts() == 0
    assert len(receiver.received) == 1


def test_unsent_digest_is_sent_later(
    box: Box,
    notified_settings: Settings,
    receiver: WebhookReceiver,
) -> None:
    """It then has all items since; a channel without a digest sends nothing."""
    channel, digests = (
        Subscribed(box, range(2, 0, -1), "weekly"),
        digests_of(notified_settings, box),
    )
    assert digests.send_due_alerts() == 0
    box.complete(channel.ids[0])
    channel.pass_time(7 * 24 + 0.1)
    receiver.answers["/chat"] = Answer(500)
    assert digests.send_due_alerts() == 0
    receiver.answers["/chat"] = Answer(200)
    assert digests.send_due_alerts() == 0  # retried in a few minutes
    box.complete(channel.ids[1])
    channel.pass_time(0.1)
    assert digests.send_due_alerts() == 1
    assert message(receiver.received[-1])[0].endswith("2 transcribed")
    channel.store.change(channel.id, {"digest": "never"})
    channel.fail(box.queued("other"))
    channel.pass_time(7 * 24 + 0.1)
    assert digests.send_due_alerts() == 0


@pytest.mark.long
def test_long_list_is_cut_and_titles_stay_on_one_line(
    box: Box,
    notified_settings: Settings,
    receiver: WebhookReceiver,
) -> None:
    """Titles are untrusted."""
    channel = Subscribed(box, range(MAX_SHOWN + 2, 0, -1))
    digests = digests_of(notified_settings, box)
    with channel.store.postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.channel_item set title = %s where media_id = 'youtube-v00032'",
            ("one\nline " + 200 * "x",),
        )
    for id in channel.ids:
        box.complete(id)
    channel.pass_time(24.1)
    assert digests.send_due_alerts() == 1
    lines = message(receiver.wait(1)[0])[1].splitlines()
    assert sum(line.startswith("- ") for line in lines) == MAX_SHOWN
    assert "and 2 more" in lines
    [line] = [line for line in lines if line.startswith("- one")]
    assert line.startswith("- one line xxx") and "x…" in line and len(line) < 300


def test_notifier_sends_digests(
    box: Box,
    notified_settings: Settings,
    receiver: WebhookReceiver,
) -> None:
    """The notifier sends them by itself."""
    channel = Subscribed(box, range(1, 0, -1))
    box.complete(channel.ids[0])
    channel.pass_time(24.1)
    with notifying(notified_settings):
        assert message(receiver.wait(1)[0])[0].endswith("1 transcribed")
