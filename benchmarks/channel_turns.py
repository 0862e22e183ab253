"""A person beside a channel's backfill: a podcast of the tests' host, with `ytcaption up`.

While downloads are paused the whole of it is listed and queued: what only waits should cost Dagster
nothing. Then they go on, and people ask by POST for recordings of the same host, one after the
other, until each is being transcribed.
"""

import statistics
import time
from typing import Any

import psycopg

from benchmarks.installation import Installation, installation
from resources.models.store import ensure_model
from resources.postgres.urls import database_urls
from tests.support.servers.channel_host import (
    SPEECH,
    ChannelHost,
)
from ytcaption.settings import Settings, load_settings

MODEL = "tiny.en"
PERSONS = 5
MOST_EPISODES = 1_000
"""Of the tests' podcast, which has one a day: others would not be out yet, and would wait."""
PAUSE_S = 3.0
LIMIT_S = 900.0
DAGSTERS = ("runs", "event_logs", "dynamic_partitions")


def turns(size: int) -> dict[str, Any]:
    """Names and numbers of one size, of `MOST_EPISODES` at most."""
    size = min(size, MOST_EPISODES)
    models_home = load_settings().models_home
    ensure_model(MODEL, models_home)
    with ChannelHost() as host, installation(models_home) as system:
        settings = Settings(home=system.home, _env_file=None)  # pyright: ignore[reportCallIssue]
        urls = database_urls(settings)
        with (
            psycopg.connect(urls.admin, autocommit=True) as own,
            psycopg.connect(
                urls.dagster_storage.replace("+psycopg2", ""), autocommit=True
            ) as dagsters,
        ):
            system.request("POST", "/api/v1/admin/pause", {"part": "download"})
            body = {"url": host.podcast("news", size), "model": MODEL}
            system.request("POST", "/api/v1/channels", body)
            _wait(own, f"select count(*) = {size} from ytcaption.transcription")
            _wait(own, "select bool_and(run_id is null) from ytcaption.channel")
            rows = {table: _number(dagsters, table) for table in DAGSTERS}
            system.request("POST", "/api/v1/admin/resume", {"part": "download"})
            _wait(
                own, "select count(*) > 1 from ytcaption.transcription where status = 'completed'"
            )
            took = [_ask(system, host, own, number) for number in range(PERSONS)]
            waiting = _number(own, "ytcaption.transcription where status = 'queued'")
    return {
        "Dagster's rows once all is queued": ", ".join(
            f"{name} {number:,}" for name, number in rows.items()
        ),
        "POST to transcribing beside the backfill, s": (
            f"median {statistics.median(took):.1f}, longest {max(took):.1f}"
        ),
        "bulk ones in the queue after that": waiting,
    }


def _ask(system: Installation, host: ChannelHost, own: psycopg.Connection, number: int) -> float:
    """Seconds until this person's recording is heard."""
    time.sleep(PAUSE_S)
    began = time.monotonic()
    id = system.submit(host.url(f"episodes/of-person-{number}/{SPEECH}"), MODEL)
    _wait(
        own,
        "select stage = 'transcription' or status = 'completed' from ytcaption.transcription "
        f"where id = '{id}'",
    )
    return time.monotonic() - began


def _wait(connection: psycopg.Connection, statement: str) -> None:
    """Until what it asks is so."""
    give_up_at = time.monotonic() + LIMIT_S
    while True:
        row = connection.execute(statement).fetchone()  # pyright: ignore
        if row is not None and row[0]:
            return
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"not so within {LIMIT_S:.0f} s: {statement}")
        time.sleep(0.05)


def _number(connection: psycopg.Connection, what: str) -> int:
    row = connection.execute(f"select count(*) from {what}").fetchone()  # pyright: ignore
    assert row is not None
    return row[0]
