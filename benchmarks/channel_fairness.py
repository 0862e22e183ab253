"""Fairness of the queue: a user's requests next to a channel's backfill, with `ytcaption up`.

The channel is a podcast of the tests' host. While downloads are paused, it is listed and queued
completely: waiting transcriptions should cost Dagster nothing. Then downloads continue, and users
request recordings of the same host by POST, one after the other, until each is being transcribed.
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
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)

MODEL = "tiny.en"
USERS = 5
MAX_EPISODES = 1_000
"""One episode a day: later ones of a longer podcast would not be published yet."""
PAUSE_S = 3.0
LIMIT_S = 900.0
DAGSTER_TABLES = ("runs", "event_logs", "dynamic_partitions")


def measure_fairness(size: int) -> dict[str, Any]:
    """Return the measurements of one size, at most `MAX_EPISODES`, by name."""
    size = min(size, MAX_EPISODES)
    models_home = load_settings().models_home
    ensure_model(MODEL, models_home)
    with ChannelHost() as host, installation(models_home) as system:
        settings = Settings(home=system.home, _env_file=None)  # pyright: ignore[reportCallIssue]
        urls = database_urls(settings)
        with (
            psycopg.connect(urls.admin, autocommit=True) as database,
            psycopg.connect(
                urls.dagster_storage.replace("+psycopg2", ""), autocommit=True
            ) as dagster_database,
        ):
            system.request("POST", "/api/v1/admin/pause", {"part": "download"})
            body = {"url": host.podcast("news", size), "model": MODEL}
            system.request("POST", "/api/v1/channels", body)
            _wait_until(database, f"select count(*) = {size} from ytcaption.transcription")
            _wait_until(database, "select bool_and(run_id is null) from ytcaption.channel")
            rows = {table: _row_count(dagster_database, table) for table in DAGSTER_TABLES}
            system.request("POST", "/api/v1/admin/resume", {"part": "download"})
            _wait_until(
                database,
                "select count(*) > 1 from ytcaption.transcription where status = 'completed'",
            )
            times_s = [
                _time_to_transcribing(system, host, database, number) for number in range(USERS)
            ]
            queued = _row_count(database, "ytcaption.transcription where status = 'queued'")
    return {
        "Dagster's rows once all are queued": ", ".join(
            f"{name} {number:,}" for name, number in rows.items()
        ),
        "POST to transcribing during the backfill, s": (
            f"median {statistics.median(times_s):.1f}, longest {max(times_s):.1f}"
        ),
        "bulk transcriptions queued after that": queued,
    }


def _time_to_transcribing(
    system: Installation, host: ChannelHost, database: psycopg.Connection, number: int
) -> float:
    """Return the seconds until this user's recording is being transcribed."""
    time.sleep(PAUSE_S)
    began = time.monotonic()
    id = system.submit(host.url(f"episodes/of-user-{number}/{SPEECH}"), MODEL)
    _wait_until(
        database,
        "select stage = 'transcription' or status = 'completed' from ytcaption.transcription "
        f"where id = '{id}'",
    )
    return time.monotonic() - began


def _wait_until(connection: psycopg.Connection, statement: str) -> None:
    """Wait until the statement returns true."""
    give_up_at = time.monotonic() + LIMIT_S
    while True:
        row = connection.execute(statement).fetchone()  # pyright: ignore
        if row is not None and row[0]:
            return
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"not true within {LIMIT_S:.0f} s: {statement}")
        time.sleep(0.05)


def _row_count(connection: psycopg.Connection, source: str) -> int:
    row = connection.execute(f"select count(*) from {source}").fetchone()  # pyright: ignore
    assert row is not None
    return row[0]
