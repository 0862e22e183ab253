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
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.main import app
from ytcaption_assets.cli.up.health import touched_within


@pytest.fixture
def box(settings: Settings, request_store: RequestStore, monkeypatch: pytest.MonkeyPatch) -> Box:
    """An empty outbox whose webhooks may be on loopback."""
    monkeypatch.setenv("YTCAPTION_ALLOWED_NETWORKS", "127.0.0.0/8")
    here = settings.changed(allowed_networks=("127.0.0.0/8",))
    return Box(here, request_store, Postgres.from_settings(here, "api"))


@contextmanager
def notifier(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """Run the command until it polls."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "ytcaption_assets.cli.main", "notifier"],
        env=os.environ,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        mark = runtime_directory(settings.home) / MARK
        while not touched_within(mark, time.monotonic() - began):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_it_sends_until_sigterm(box: Box) -> None:
    """The exit status is 0."""
    with WebhookReceiver() as receiver, notifier(box.settings) as process:
        id = box.queued(callback=receiver.url())
        box.store.cancel(id)
        receiver.wait(1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.long
def test_a_delivery_of_a_killed_notifier_is_sent_again(box: Box) -> None:
    """After SIGKILL before the result is stored, the next one sends it with the same id."""
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


@pytest.mark.slow
def test_a_wrong_apprise_url_is_one_sentence(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit status is 1, and the URL is not printed."""
    monkeypatch.setenv("YTCAPTION_NOTIFY_URLS", "nonsense://s3cret")
    done = subprocess.run(
        [sys.executable, "-m", "ytcaption_assets.cli.main", "notifier"],
        env=os.environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    _, message = done.stderr.splitlines()  # the first names the settings in force
    assert message.startswith("ytcaption: YTCAPTION_NOTIFY_URLS") and "s3cret" not in done.stderr


def test_dead_letters_are_listed_and_sent_again(box: Box) -> None:
    """The list has their attempts, and URLs without their queries."""
    box.failed(callback="https://example.org/hook?token=s3cret")
    with box.store.postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.delivery set status = 'dead', settled_at = now(), attempt = 10, "
            "last_outcome = 'server_error'"
        )
    environment = {"COLUMNS": "200"}
    listed = CliRunner().invoke(app, ["admin", "deliveries", "dead"], env=environment)
    assert "https://example.org/hook" in listed.output and "server_error" in listed.output
    assert "s3cret" not in listed.output
    other = CliRunner().invoke(app, ["admin", "deliveries", "replay", "--outcome", "timeout"])
    assert other.stdout == "0 deliveries will be sent again.\n"
    replayed = CliRunner().invoke(app, ["admin", "deliveries", "replay"])
    assert replayed.stdout == "1 deliveries will be sent again.\n"
    assert box.rows()[0]["status"] == "waiting"
