"""Writes of runs and their outcomes, on every Postgres available."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from resources.transcriptions.reads import get_media, get_transcription
from resources.transcriptions.run_settlement import settle_attempt, settle_run, settle_silent
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.segments import stored_segments
from resources.transcriptions.state import retry_delay_s
from resources.transcriptions.store import RequestStore
from tests.resources.transcripts import AUDIO, INFO, completed, make_transcript
from tests.support.servers.postgres_servers import (
    SERVERS,
    DatabaseServer,
)
from tests.support.transcription_events import transcription_events
from ytcaption.domain.caption_choice import CaptionChoice
from ytcaption.domain.captions.track_segments import CaptionTrack
from ytcaption.domain.errors import ClaimLost, TranscriptionBusy
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus

pytestmark = pytest.mark.parametrize("database_server", SERVERS, indirect=True)

SOURCE = MediaSource("youtube-abc", "site", "https://www.youtube.com/watch?v=abc", "Youtube")
OPTIONS = TranscriptionOptions("base")
SHA256 = "ef" * 32


@pytest.fixture
def id(request_store: RequestStore) -> str:
    """A queued transcription."""
    return request_store.submit(SOURCE, OPTIONS).transcription.id


def silence(server: DatabaseServer, id: str, seconds: float) -> None:
    """Set the age of the row's heartbeat."""
    with psycopg.connect(server.superuser_url) as connection:
        connection.execute(
            "update ytcaption.transcription set heartbeat_at = now() - make_interval(secs => %s) "
            "where id = %s",
            (seconds, id),
        )


def test_a_run_completes_a_transcription(request_store: RequestStore, id: str):
    """Claim, audio, transcript, complete: the row, the segments and the events show it."""
    assert completed(request_store, SOURCE, OPTIONS) == id
    row, transcript = get_transcription(request_store.postgres, id), make_transcript(id)
    assert row.status is TranscriptionStatus.COMPLETED
    assert row.document_key == f"transcripts/{id}.json"
    assert row.document_sha256 == SHA256
    assert (row.language, row.duration_s, row.speech_s) == ("en", 12.5, 10.0)
    assert (row.segment_count, row.word_count, row.dropped_count) == (2, 5, 1)
    assert row.provenance == transcript.provenance
    assert row.completed_at is not None
    assert (row.run_id, row.heartbeat_at, row.stage) == ("run-1", None, None)
    assert tuple(stored_segments(request_store.postgres, id)) == transcript.segments
    assert [event.event_type for event in transcription_events(request_store.postgres, id)][
        -4:
    ] == [
        "Started",
        "AudioDownloaded",
        "TranscriptStored",
        "TranscriptionCompleted",
    ]
    assert {event.run_id for event in transcription_events(request_store.postgres, id)[-4:]} == {
        "run-1"
    }


def test_segments_are_found_by_their_words(
    request_store: RequestStore, id: str, database_server: DatabaseServer
):
    """The text is indexed for search as it is written."""
    completed(request_store, SOURCE, OPTIONS)
    with psycopg.connect(database_server.superuser_url) as connection:
        rows = connection.execute(
            "select index from ytcaption.segment "
            "where tsv @@ ytcaption.search_term('en', 'Countries', false)"
        ).fetchall()
    assert rows == [(1,)]


def test_of_eight_claimers_one_wins(
    request_store: RequestStore, run_store: RunStore, id: str, database_server: DatabaseServer
):
    """Eight runs claim at the same time: one succeeds, the others get TranscriptionBusy."""

    def claim(number: int) -> str | None:
        try:
            return run_store.claim(id, f"run-{number}", 1).run_id
        except TranscriptionBusy:
            return None

    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
    with (
        psycopg.connect(database_server.superuser_url) as connection,
        psycopg.connect(database_server.superuser_url, autocommit=True) as observer,
        ThreadPoolExecutor(8) as threads,
    ):
        # All of them wait for this row, then go on together.
        connection.execute("select from ytcaption.transcription where id = %s for update", (id,))
        claims = [threads.submit(claim, number) for number in range(8)]
        while observer.execute(waiting).fetchone() != (8,):
            time.sleep(0.01)
        connection.commit()
        winners = [claim.result() for claim in claims if claim.result() is not None]
    assert winners == [get_transcription(request_store.postgres, id).run_id]
    types = [event.event_type for event in transcription_events(request_store.postgres, id)]
    assert types.count("Started") == 1


def test_claiming_again_changes_nothing(request_store: RequestStore, run_store: RunStore, id: str):
    """Each asset of a run may claim; the run that holds the claim keeps it."""
    run_store.claim(id, "run-1", 1)
    run_store.progress(id, "run-1", "download", 10, 100)
    row = run_store.claim(id, "run-1", 1)
    assert (row.status, row.stage, row.progress_done) == ("running", "download", 10)
    assert row.attempt == 1


def test_an_attempt_that_is_over_cannot_be_claimed(
    request_store: RequestStore, run_store: RunStore, id: str
):
    """A run of an earlier attempt, or of a canceled transcription, gets ClaimLost."""
    run_store.claim(id, "run-1", 1)
    run_store.fail(id, "run-1", "source_unavailable", "down", True, 4)
    with pytest.raises(ClaimLost):
        run_store.claim(id, "run-2", 1)
    run_store.claim(id, "run-3", 2)
    request_store.cancel(id)
    with pytest.raises(ClaimLost):
        run_store.claim(id, "run-4", 2)


def test_a_run_by_hand_may_repeat_a_finished_one(request_store: RequestStore, run_store: RunStore):
    """Without an attempt, a completed transcription is claimed under a new number; its result
    stands meanwhile."""
    id = completed(request_store, SOURCE, OPTIONS)
    row = run_store.claim(id, "run-2")
    assert (row.status, row.attempt, row.try_number) == (TranscriptionStatus.RUNNING, 2, 1)
    assert row.document_key is not None
    assert len(stored_segments(request_store.postgres, id)) == 2


Write = Callable[[RunStore, str, str], object]

WRITES: dict[str, Write] = {
    "heartbeat": lambda store, id, run: store.heartbeat(id, run),
    "progress": lambda store, id, run: store.progress(id, run, "download", 1, 2),
    "audio_stored": lambda store, id, run: store.audio_stored(id, run, INFO, AUDIO),
    "transcript_stored": lambda store, id, run: store.transcript_stored(
        id, run, make_transcript(id), "transcripts/x.json", SHA256
    ),
    "captions_settled": lambda store, id, run: store.captions_settled(
        id, run, CaptionChoice("There are some.", "manual"), CaptionTrack("vtt", b""), INFO
    ),
    "complete": lambda store, id, run: store.complete(id, run),
    "fail": lambda store, id, run: store.fail(id, run, "x", "x", True, 4),
    "release": lambda store, id, run: store.release(id, run),
}


@pytest.mark.long
@pytest.mark.parametrize("how", ["canceled", "taken over", "never had", "unknown id"])
@pytest.mark.parametrize("write", WRITES)
def test_a_run_that_lost_its_claim_writes_nothing(
    request_store: RequestStore,
    run_store: RunStore,
    id: str,
    database_server: DatabaseServer,
    write: str,
    how: str,
):
    """Every write is refused, and row, media, segments and events do not change."""
    run_store.claim(id, "run-1", 1)
    if how == "canceled":
        request_store.cancel(id)
    elif how == "taken over":
        silence(database_server, id, 61)
        assert [lost.id for lost in settle_silent(request_store.postgres, 60, 4)] == [id]
        run_store.claim(id, "run-2", 2)
    run_id = "run-9" if how == "never had" else "run-1"
    written_id = f"{id[:-1]}x" if how == "unknown id" else id

    def state():
        media = get_media(request_store.postgres, SOURCE.media_id)
        return (
            get_transcription(request_store.postgres, id),
            media,
            stored_segments(request_store.postgres, id),
            transcription_events(request_store.postgres, id),
        )

    before = state()
    with pytest.raises(ClaimLost):
        WRITES[write](run_store, written_id, run_id)
    assert state() == before


def test_progress_is_a_heartbeat(
    request_store: RequestStore, run_store: RunStore, id: str, database_server: DatabaseServer
):
    """A run that reports progress, or sends heartbeats, is not silent."""
    run_store.claim(id, "run-1", 1)
    for beat in ("progress", "heartbeat", "audio_stored", "transcript_stored"):
        silence(database_server, id, 61)
        WRITES[beat](run_store, id, "run-1")
        assert settle_silent(request_store.postgres, 60, 4) == [], beat
    assert get_transcription(request_store.postgres, id).stage == "download"


def test_progress_notifies_listeners(
    request_store: RequestStore, run_store: RunStore, id: str, database_server: DatabaseServer
):
    """With the id, once it is committed."""
    run_store.claim(id, "run-1", 1)
    with psycopg.connect(database_server.url, autocommit=True) as connection:
        connection.execute("listen ytcaption_progress")
        run_store.progress(id, "run-1", "download", 1, 2)
        notifications = list(connection.notifies(timeout=5, stop_after=1))
    assert [notification.payload for notification in notifications] == [id]


def test_four_attempts_and_no_more(request_store: RequestStore, run_store: RunStore, id: str):
    """Retryable failures are retried after 1, 3 and 7 s or a little more; then it is failed."""
    for attempt, delay_s in ((1, 1.0), (2, 3.0), (3, 7.0)):
        run_store.claim(id, f"run-{attempt}", None)
        status = run_store.fail(id, f"run-{attempt}", "source_unavailable", "down", True, 4)
        assert status is TranscriptionStatus.QUEUED
        row, due_in_s = get_transcription(request_store.postgres, id), request_store.next_due_in_s()
        assert (row.attempt, row.run_id) == (attempt + 1, None)
        assert (row.error_code, row.error_message) == ("source_unavailable", "down")
        assert due_in_s is not None and delay_s - 0.5 < due_in_s <= delay_s * 1.25
        assert request_store.due(10) == []
    run_store.claim(id, "run-4", None)
    assert run_store.fail(id, "run-4", "source_unavailable", "down", True, 4) == "failed"
    row = get_transcription(request_store.postgres, id)
    assert (row.status, row.attempt, row.run_id) == (TranscriptionStatus.FAILED, 4, "run-4")
    assert transcription_events(request_store.postgres, id)[-1].data["code"] == "source_unavailable"


def test_a_new_series_has_its_own_attempts(
    request_store: RequestStore, run_store: RunStore, id: str
):
    """After the last failure, a new request gives as many attempts as the first."""
    run_store.claim(id, "run-1", 1)
    assert run_store.fail(id, "run-1", "source_unavailable", "down", True, 1) == "failed"
    request_store.submit(SOURCE, OPTIONS)
    run_store.claim(id, "run-2", 2)
    assert run_store.fail(id, "run-2", "source_unavailable", "down", True, 2) == "queued"
    due_in_s = request_store.next_due_in_s()
    assert due_in_s is not None and due_in_s <= 1.25


def test_a_permanent_failure_is_not_retried(
    request_store: RequestStore, run_store: RunStore, id: str
):
    """A failure that is not retryable is final at once."""
    run_store.claim(id, "run-1", 1)
    assert run_store.fail(id, "run-1", "media_private", "It is private.", False, 4) == "failed"


def test_retries_are_spread(request_store: RequestStore):
    """Delays are 1, 3, 7 s and up to a quarter more, and differ."""
    for try_number, delay_s in ((1, 1), (2, 3), (3, 7)):
        delays = [retry_delay_s(try_number) for _ in range(200)]
        assert delay_s <= min(delays) < max(delays) <= delay_s * 1.25
        assert len(set(delays)) > 100
    assert retry_delay_s(60) <= 375


def test_a_failed_run_by_hand_keeps_the_result(request_store: RequestStore, run_store: RunStore):
    """A completed transcription is still completed when making it again fails."""
    id = completed(request_store, SOURCE, OPTIONS)
    run_store.claim(id, "run-2")
    assert run_store.fail(id, "run-2", "x", "x", False, 4) is TranscriptionStatus.COMPLETED
    assert get_transcription(request_store.postgres, id).document_key is not None


def test_a_run_of_some_assets_releases_it(
    request_store: RequestStore, run_store: RunStore, id: str
):
    """Queued at once under a number Dagster has not seen, with all attempts; or completed as
    before."""
    run_store.claim(id, "run-1", 1)
    assert run_store.release(id, "run-1") is TranscriptionStatus.QUEUED
    due = request_store.due(10)
    assert [(item.id, item.attempt) for item in due] == [(id, 2)]
    assert get_transcription(request_store.postgres, id).try_number == 1
    request_store.cancel(id)
    completed(request_store, SOURCE, OPTIONS, run_id="run-2")
    run_store.claim(id, "run-3")
    assert run_store.release(id, "run-3") is TranscriptionStatus.COMPLETED


def test_only_silent_runs_are_settled(
    request_store: RequestStore, run_store: RunStore, id: str, database_server: DatabaseServer
):
    """A run silent for 61 s is lost and retried; one silent for 50 s is not."""
    run_store.claim(id, "run-1", 1)
    silence(database_server, id, 50)
    assert settle_silent(request_store.postgres, 60, 4) == []
    silence(database_server, id, 61)
    assert [lost.id for lost in settle_silent(request_store.postgres, 60, 4)] == [id]
    row = get_transcription(request_store.postgres, id)
    assert (row.status, row.error_code, row.attempt) == ("queued", "run_lost", 2)
    assert settle_silent(request_store.postgres, 60, 4) == []


def test_two_reconcilers_settle_a_run_once(
    request_store: RequestStore, run_store: RunStore, id: str, database_server: DatabaseServer
):
    """One of eight that run at once settles it."""
    run_store.claim(id, "run-1", 1)
    silence(database_server, id, 61)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: settle_silent(request_store.postgres, 60, 4), range(8)))
        found = [[lost.id for lost in each] for each in found]
    assert sorted(found) == [[]] * 7 + [[id]]
    assert get_transcription(request_store.postgres, id).attempt == 2


def test_a_run_that_ended_is_settled_once(
    request_store: RequestStore, run_store: RunStore, id: str
):
    """A transcription that a dead run left running is failed; finished and other ones do not
    change."""
    run_store.claim(id, "run-1", 1)
    assert settle_run(request_store.postgres, "run-9", "run_failed", "It died.", True, 4) is None
    assert (
        settle_run(request_store.postgres, "run-1", "run_failed", "It died.", True, 4) == "queued"
    )
    assert settle_run(request_store.postgres, "run-1", "run_failed", "It died.", True, 4) is None
    request_store.cancel(id)
    completed(request_store, SOURCE, OPTIONS, run_id="run-2")
    assert settle_run(request_store.postgres, "run-2", "run_failed", "It died.", True, 4) is None
    assert get_transcription(request_store.postgres, id).status is TranscriptionStatus.COMPLETED


def test_an_attempt_whose_run_never_claimed_is_settled(
    request_store: RequestStore, run_store: RunStore, id: str
):
    """Only while it is queued under that number."""
    assert settle_attempt(request_store.postgres, id, 2, "run_failed", "It died.", True, 4) is None
    assert (
        settle_attempt(request_store.postgres, id, 1, "run_failed", "It died.", True, 4) == "queued"
    )
    assert get_transcription(request_store.postgres, id).attempt == 2
    assert settle_attempt(request_store.postgres, id, 1, "run_failed", "It died.", True, 4) is None
    run_store.claim(id, "run-2", 2)
    assert settle_attempt(request_store.postgres, id, 2, "run_failed", "It died.", True, 4) is None
    assert get_transcription(request_store.postgres, id).status is TranscriptionStatus.RUNNING


def test_a_transcript_without_speech_is_a_transcript(
    request_store: RequestStore, run_store: RunStore, id: str
):
    """No segment, no word, no language, and completed."""
    run_store.claim(id, "run-1", 1)
    silent = replace(make_transcript(id, ()), language=None, language_probability=0.0)
    run_store.transcript_stored(id, "run-1", silent, "transcripts/x.json", SHA256)
    run_store.complete(id, "run-1")
    row = get_transcription(request_store.postgres, id)
    assert (row.segment_count, row.word_count, row.language) == (0, 0, None)
    assert stored_segments(request_store.postgres, id) == []


def test_nothing_is_completed_without_a_document(
    request_store: RequestStore, run_store: RunStore, id: str
):
    """A run that completes before it stored a document is refused, and keeps the claim."""
    from ytcaption.domain.errors import StorageError

    run_store.claim(id, "run-1", 1)
    with pytest.raises(StorageError):
        run_store.complete(id, "run-1")
    assert get_transcription(request_store.postgres, id).status is TranscriptionStatus.RUNNING


def test_storing_again_replaces_the_segments(
    request_store: RequestStore, run_store: RunStore, id: str
):
    """However many there were; all text is stored that a model can write, except NUL."""
    run_store.claim(id, "run-1", 1)
    for texts in (("a", "b", "c"), ("tab\tline\nback\\slash 日本語 \\N", "nul\x00")):
        transcript = make_transcript(id, texts)
        run_store.transcript_stored(id, "run-1", transcript, "transcripts/x.json", SHA256)
    stored = stored_segments(request_store.postgres, id)
    assert [segment.text for segment in stored] == ["tab\tline\nback\\slash 日本語 \\N", "nul"]


@pytest.mark.long
def test_two_runs_and_two_requests_of_one_media_do_not_deadlock(
    request_store: RequestStore, run_store: RunStore
):
    """All of them lock rows in the same order."""
    options = [TranscriptionOptions(model) for model in ("base", "tiny", "small", "medium")]
    ids = [request_store.submit(SOURCE, option).transcription.id for option in options]
    for number, id in enumerate(ids):
        run_store.claim(id, f"run-{number}", 1)

    def work(number: int) -> None:
        for _ in range(10):
            run_store.audio_stored(ids[number], f"run-{number}", INFO, AUDIO)
            request_store.submit(SOURCE, options[number])
            request_store.submit(SOURCE, options[number - 1])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert get_media(request_store.postgres, SOURCE.media_id).audio == AUDIO
