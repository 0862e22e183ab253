"""Operators get alerts about problems that only they can solve, many at a time in one message."""

import json
import logging

import pytest
from pydantic import SecretStr

from resources.alerts import Alerts, Operators, raise_alert
from resources.postgres.connection import Postgres
from resources.transcriptions.store import RequestStore
from tests.resources.webhooks.outboxes import Box
from tests.support.servers.webhook_receiver import (
    Answer,
    WebhookReceiver,
)
from ytcaption.domain.errors import SetupError
from ytcaption.settings.settings import Settings


def box_of(settings: Settings, store: RequestStore) -> Box:
    return Box(settings, store, Postgres.from_settings(settings, "api"))


def alerts_to(url: str, box: Box) -> Alerts:
    settings = box.settings.changed(notify_urls=SecretStr(url))
    return Alerts(Operators(settings), box.postgres)


def make_due(box: Box) -> None:
    with box.store.postgres.transaction() as connection:
        connection.execute("update ytcaption.alert set next_try_at = now()")


def test_failures_are_reported_together(
    settings: Settings, request_store: RequestStore, caplog: pytest.LogCaptureFixture
) -> None:
    """By cause; failures caused by the media are not reported, and no log shows the recipient."""
    box = box_of(settings, request_store)
    with WebhookReceiver() as chat:
        url = chat.url("/hunter2").replace("http://", "json://user:s3cret@")
        alerts = alerts_to(url, box)
        box.failed("a", code="disk_full")
        last = box.failed("b", code="disk_full")
        box.failed("c", code="media_private")
        with caplog.at_level(logging.DEBUG):
            assert alerts.send_due_alerts() == 1
            assert alerts.send_due_alerts() == 0
        [received] = chat.received
        message = json.loads(received.body)
        assert "disk full" not in message["title"] and "disk_full" in message["title"]
        assert "2 transcriptions failed" in message["message"] and last in message["message"]
        assert "hunter2" not in caplog.text and "s3cret" not in caplog.text

        box.failed("d", code="disk_full")
        assert alerts.send_due_alerts() == 0  # within the hour
        make_due(box)
        assert alerts.send_due_alerts() == 1
        assert "1 transcriptions failed" in json.loads(chat.received[1].body)["message"]


def test_unsent_alert_is_sent_later(settings: Settings, request_store: RequestStore) -> None:
    """A breaker's alert is one line."""
    box = box_of(settings, request_store)
    with WebhookReceiver() as chat:
        chat.answers["/"] = Answer(500)
        alerts = alerts_to(chat.url("/").replace("http://", "json://"), box)
        runs = Postgres.from_settings(settings, "dagster")
        with runs.transaction() as connection:
            raise_alert(connection, "breaker_opened", "youtube")
        assert alerts.send_due_alerts() == 0
        chat.answers["/"] = Answer(200)
        make_due(box)
        assert alerts.send_due_alerts() == 1
        assert "Downloads from youtube" in json.loads(chat.received[-1].body)["message"]


def test_alerts_do_not_accumulate_without_recipients(
    settings: Settings, request_store: RequestStore
) -> None:
    """Without recipients they are logged, and their count starts again."""
    box = box_of(settings, request_store)
    box.failed("a", code="disk_full")
    assert Alerts(Operators(settings), box.postgres).send_due_alerts() == 1
    assert [row["number"] for row in box.rows("select number from ytcaption.alert")] == [0]


def test_invalid_url_is_refused_and_not_shown(
    settings: Settings, request_store: RequestStore
) -> None:
    """The notifier refuses it when it starts."""
    with pytest.raises(SetupError) as error:
        alerts_to("nonsense://s3cret", box_of(settings, request_store))
    assert "s3cret" not in error.value.message
