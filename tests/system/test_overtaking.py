"""A person asks by POST while a channel of hundreds is at work, with real processes."""

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
    """A podcast's."""
    with ChannelHost() as host:
        yield host


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(600)
def test_a_person_is_next_while_a_channel_is_at_work(
    installation: Up,
    host: ChannelHost,
    model_home: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Of hundreds that wait no more begin before than had a run already, from the same host."""
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

        def number(which: str) -> int:
            row = connection.execute(
                f"select count(*) from ytcaption.transcription where {which}"  # pyright: ignore
            ).fetchone()
            assert row is not None
            return row[0]

        installation.wait_for(
            lambda: number("true") == ITEMS and number("status = 'completed'") >= 2, 300
        )
        asked_at = time.time()
        answer = httpx.post(
            f"http://127.0.0.1:{installation.state.api_port}/api/v1/transcriptions",
            json={"url": host.url(f"episodes/of-a-person/{SPEECH}"), "model": "tiny.en"},
            timeout=LONGEST_S,
        )
        assert answer.status_code == 202, answer.text
        id = answer.json()["id"]
        installation.wait_for(
            lambda: number(f"id = '{id}' and (stage = 'transcription' or status = 'completed')"),
            LONGEST_S,
        )
        record_property("seconds_until_transcribing", round(time.time() - asked_at, 1))
        found = overtaken_by(Facts.read(settings), id)
        assert found is not None
        assert len(found.waited) > ITEMS / 2
        record_property("began_before", len(found.began))
        assert len(found.began) <= settings.transcriptions_at_once
        assert number("status = 'queued' and priority = 'bulk'") > ITEMS / 2
