"""Rows are equal to what their events describe; a difference is found."""

import threading
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from resources.lake.catalog import TranscriptCatalog
from resources.maintenance.erasure import Erasure
from resources.orchestration.orchestrator import Orchestrator
from resources.postgres.connection import Postgres
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.replay import check_replay, replay
from resources.transcriptions.store import RequestStore
from tests.api.conftest import dagster_home  # noqa: F401 - a fixture
from tests.resources.transcripts import completed
from tests.support.servers.channel_server import (
    STEPS,
    Lively,
    no_code,
)
from tests.support.servers.postgres_servers import DatabaseServer
from ytcaption.domain.event_projection import REPLAYED
from ytcaption.domain.events import SCHEMA_VERSION, EventType
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings

SOURCE = MediaSource("youtube-abc", "site", "https://youtu.be/abc", "Youtube")
BASE = TranscriptionOptions("base")

SEQUENCES = st.lists(
    st.tuples(st.sampled_from(STEPS), st.integers(0, 2), st.booleans(), st.booleans()),
    min_size=20,
    max_size=60,
)


@pytest.fixture
def lively(
    settings: Settings,
    request_store: RequestStore,
    dagster_home: object,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Lively]:
    """An empty installation. Erasing leaves out the lake, which has no text here."""
    monkeypatch.setattr(TranscriptCatalog, "erase", lambda *_: None)
    orchestrator = Orchestrator()
    erasure = Erasure(settings, Postgres.from_settings(settings, "api"), orchestrator)
    yield Lively(request_store, erasure)
    orchestrator.close()


@pytest.mark.slow
def test_rows_always_follow_from_events(lively: Lively, database_server: DatabaseServer):
    """After any sequence of requests, runs, failures, retries, cancels and erasures: the rows are
    what the events describe, and events hold ids, codes and numbers only."""
    seen: set[str] = set()

    @hypothesis_settings(
        max_examples=15,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(SEQUENCES)
    def happens(steps: list[tuple[str, int, bool, bool]]) -> None:
        database_server.clean()
        for step in steps:
            lively.step(*step)
        report = check_replay(lively.store.postgres)
        assert report.differences == ()
        events = lively.all_events()
        assert list(no_code(events)) == []
        assert {event["schema_version"] for event in events} <= {SCHEMA_VERSION}
        seen.update(event["event_type"] for event in events)

    happens()
    never = {EventType.SNAPSHOT_TAKEN, EventType.BREAKER_PROBED, EventType.DOCUMENT_REBUILT}
    assert seen == {each.value for each in set(EventType) - never}


OTHER = {
    "media_id": "'youtube-other'", "status": "'failed'", "priority": "'bulk'", "attempt": "7",
    "series_start": "0", "created_at": "now()", "queued_at": "now()", "started_at": "null",
    "run_id": "'another'", "error_code": "'disk_full'", "document_key": "'transcripts/x.json'",
    "document_sha256": "null", "language": "'de'", "language_probability": "0.5",
    "duration_s": "12.500001", "speech_s": "null", "segment_count": "3", "word_count": "0",
    "dropped_count": "null", "completed_at": "completed_at + interval '1 microsecond'",
}  # fmt: skip
"""What somebody writes into each column that is replayed."""


@pytest.mark.parametrize("column", REPLAYED)
def test_a_changed_row_is_found(
    request_store: RequestStore, database_server: DatabaseServer, column: str
):
    """In any column, with the value of the row and that of the events."""
    completed(request_store, MediaSource("youtube-other", "site"), BASE)
    id = completed(request_store, SOURCE, BASE)
    before = request_store.postgres.rows(
        "select * from ytcaption.transcription where id = %(id)s", {"id": id}
    )
    with psycopg.connect(database_server.superuser_url) as connection:
        connection.execute(
            f"update ytcaption.transcription set {column} = {OTHER[column]} where id = %s",
            (id,),
        )
    report = check_replay(request_store.postgres)
    (found,) = report.differences
    assert (found.id, found.column, found.events_say) == (id, column, before[0][column])
    assert found.row_says != found.events_say
    assert (report.transcription_count, report.difference_count) == (2, 1)


def test_rows_without_events_and_events_without_a_row_are_found(
    request_store: RequestStore, database_server: DatabaseServer
):
    """The report lists as many as requested and counts all."""
    id = completed(request_store, SOURCE, BASE)
    with psycopg.connect(database_server.superuser_url) as connection:
        connection.execute("delete from ytcaption.transcription")
        connection.execute(
            "insert into ytcaption.transcription (id, media_id, options, priority) "
            "values ('secret', 'youtube-abc', '{}', 'bulk')"
        )
    report = check_replay(request_store.postgres, most=1)
    (found,) = report.differences
    assert (found.id, found.column, found.row_says, found.events_say) == (
        id, "(row)", "none", "there",
    )  # fmt: skip
    assert report.difference_count == 2


@pytest.mark.long
def test_more_than_a_batch_is_compared_while_others_write(
    request_store: RequestStore, monkeypatch: pytest.MonkeyPatch
):
    """Each comparison sees rows and events as of one point in time."""
    monkeypatch.setattr("resources.transcriptions.replay.BATCH", 3)
    stop = threading.Event()
    made: list[str] = []

    def work() -> None:
        while not stop.is_set():
            source = MediaSource(f"youtube-{len(made)}", "site")
            made.append(completed(request_store, source, BASE))

    worker = threading.Thread(target=work)
    worker.start()
    try:
        counts = []
        while len(counts) < 20 or counts[-1] < 20:
            report = check_replay(request_store.postgres)
            assert report.differences == ()
            counts.append(report.transcription_count)
    finally:
        stop.set()
        worker.join()
    assert len(set(counts)) > 5, "others wrote meanwhile"
    assert len(made) == check_replay(request_store.postgres).transcription_count


def test_a_replay_returns_the_rows(request_store: RequestStore):
    """All columns that follow from events, without reading the row."""
    id = completed(request_store, SOURCE, BASE)
    (replayed,) = replay(request_store.postgres)
    row = get_transcription(request_store.postgres, id)
    assert replayed.id == id and replayed.row is not None
    assert (replayed.row.status, replayed.row.completed_at) == ("completed", row.completed_at)
    assert replayed.event_count == 7
