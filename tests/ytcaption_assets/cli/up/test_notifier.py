"""`ytcaption notifier` as a process, and `ytcaption admin deliveries`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from resources.postgres.connection import Postgres
from resources.processes.runtime_directory import runtime_directory
from resources.transcriptions.store import RequestStore
from resources.webhooks.notifier import MARK
from tests.resources.webhooks.outboxes import Box
from tests.support.servers.webhook_receiver import (
    Answer,
    WebhookReceiver,
)
from ytcaption.settings import Settings
from ytcaption_assets.cli.main import app
from ytcaption_assets.cli.up.health import touched_since


@pytest.fixture
def box(settings: Settings, request_store: RequestStore, monkeypatch: pytest.MonkeyPatch) -> Box:
    """Empty; loopback may be reached."""
    monkeypatch.setenv("YTCAPTION_ALLOWED_NETWORKS", "127.0.0.0/8")
    here = settings.model_copy(update={"allowed_networks": ("127.0.0.0/8",)})
    return Box(here, request_store, Postgres.from_settings(here, "api"))


@contextmanager
def notifier(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """At work."""
    began = time.time()
    process = subprocess.Popen(
        [sys.executable, "-m", "ytcaption_assets.cli.main", "notifier"],
        env=os.environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not touched_since(runtime_directory(settings.home) / MARK, began):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_it_sends_until_it_is_told_to_stop(box: Box) -> None:
    """SIGTERM ends it with 0."""
    with WebhookReceiver() as receiver, notifier(box.settings) as process:
        id = box.queued(callback=receiver.url())
        box.store.cancel(id)
        receiver.wait(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_what_a_killed_one_was_sending_is_sent_again(box: Box) -> None:
    """SIGKILL between sending and writing that down: another one, the same id."""
    with WebhookReceiver() as receiver:
        receiver.answers["/hook"] = Answer(act=lambda connection: time.sleep(30))
        with notifier(box.settings):
            box.failed(callback=receiver.url())
            receiver.wait(1)
        receiver.answers["/hook"] = Answer(204)
        box.pass_time(31)
        with notifier(box.settings):
            first, second = receiver.wait(2)
        assert first.id == second.id


def test_a_wrong_key_is_one_sentence(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """So is a wrong Apprise URL; exit status 1, nothing of it is shown."""
    monkeypatch.setenv("YTCAPTION_NOTIFY_URLS", "nonsense://s3cret")
    done = subprocess.run(
        [sys.executable, "-m", "ytcaption_assets.cli.main", "notifier"],
        env=os.environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert (
        done.stderr.startswith("ytcaption: YTCAPTION_NOTIFY_URLS") and "s3cret" not in done.stderr
    )


def test_dead_letters_are_seen_and_sent_again(box: Box) -> None:
    """With the attempts that were made; URLs without their queries."""
    box.failed(callback="https://example.org/hook?token=s3cret")
    with box.store.postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.delivery set status = 'dead', settled_at = now(), attempt = 10, "
            "last_outcome = 'server_error'"
        )
    environment = {"COLUMNS": "200"}
    shown = CliRunner().invoke(app, ["admin", "deliveries", "dead"], env=environment)
    assert "https://example.org/hook" in shown.output and "server_error" in shown.output
    assert "s3cret" not in shown.output
    other = CliRunner().invoke(app, ["admin", "deliveries", "replay", "--outcome", "timeout"])
    assert other.stdout == "0 deliveries are sent again.\n"
    again = CliRunner().invoke(app, ["admin", "deliveries", "replay"])
    assert again.stdout == "1 deliveries are sent again.\n"
    assert box.rows()[0]["status"] == "waiting"
