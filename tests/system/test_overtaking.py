"""An interactive request overtakes a channel's hundreds of items, with real processes."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from resources.postgres.urls import database_urls
from tests.chaos.channel_verify import overtaken_by
from tests.chaos.verify import Facts
from tests.support.servers.channel_host import (
    SPEECH,
    ChannelHost,
)
from tests.ytcaption_assets.cli.up.test_up import Up, installation  # noqa: F401 - a fixture

ITEMS = 300
LONGEST_S = 60.0


@pytest.fixture
def host() -> Iterator[ChannelHost]:
    """The host of a podcast."""
    with ChannelHost() as host:
        yield host


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(600)
def test_an_interactive_request_overtakes_a_channel(
    installation: Up,
    host: ChannelHost,
    model_home: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Of hundreds of waiting items of the same host, only those that already have runs go first."""
    installation.options = ("--no-webserver",)
    installation.more = {
        "YTCAPTION_ALLOWED_NETWORKS": "127.0.0.0/8",
        "YTCAPTION_MODEL_DIRECTORY": str(model_home),
        "YTCAPTION_MODEL": "tiny.en",
    }
    installation.start()
    added = installation.run("channels", "add", host.podcast("news", ITEMS))
    assert added.returncode == 0, added.stderr
    settings = installation.settings
    with psycopg.connect(database_urls(settings).admin, autocommit=True) as connection:

        def count(condition: str) -> int:
            row = connection.execute(
                f"select count(*) from ytcaption.transcription where {condition}"  # pyright: ignore
            ).fetchone()
            assert row is not None
            return row[0]

        installation.wait_for(
            lambda: count("true") == ITEMS and count("status = 'completed'") >= 2, 300
        )
        requested_at = time.time()
        response = httpx.post(
            f"http://127.0.0.1:{installation.state.api_port}/api/v1/transcriptions",
            json={"url": host.url(f"episodes/interactive/{SPEECH}"), "model": "tiny.en"},
            timeout=LONGEST_S,
        )
        assert response.status_code == 202, response.text
        id = response.json()["id"]
        installation.wait_for(
            lambda: count(f"id = '{id}' and (stage = 'transcription' or status = 'completed')"),
            LONGEST_S,
        )
        record_property("seconds_until_transcribing", round(time.time() - requested_at, 1))
        overtaken = overtaken_by(Facts.read(settings), id)
        assert overtaken is not None
        assert len(overtaken.waited) > ITEMS / 2
        record_property("began_before", len(overtaken.began))
        assert len(overtaken.began) <= settings.transcriptions_at_once
        assert count("status = 'queued' and priority = 'bulk'") > ITEMS / 2
