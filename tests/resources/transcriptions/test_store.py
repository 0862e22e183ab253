"""Requests, reads, waits and cancels, on every Postgres available."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from resources.postgres.connection import Postgres
from resources.transcriptions.reads import (
    get_media,
    get_transcription,
    get_transcriptions,
    status_counts,
)
from resources.transcriptions.run_settlement import settle_attempt
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.segments import stored_segments
from resources.transcriptions.store import RequestStore
from tests.resources.transcripts import AUDIO, INFO, completed, make_transcript
from tests.support.patience import patience
from tests.support.rows import recent_transcriptions
from tests.support.servers.postgres_servers import (
    SERVERS,
    DatabaseServer,
)
from tests.support.transcription_events import transcription_events
from ytcaption.domain.errors import (
    MediaNotFound,
    OptionsMismatch,
    TranscriptionBusy,
    TranscriptionNotFound,
)
from ytcaption.domain.media.media import MediaInfo, MediaSource
from ytcaption.domain.request import (
    TranscriptionOptions,
    TranscriptionStatus,
    partition_key,
    run_key,
)

pytestmark = pytest.mark.parametrize("database_server", SERVERS, indirect=True)

SOURCE = MediaSource("youtube-abc", "site", "https://www.youtube.com/watch?v=abc", "Youtube")
UPLOAD = MediaSource("upload-abc", "upload", title="talk.mp3")
OPTIONS = TranscriptionOptions("base", language="de", hotwords="Straße")


def test_a_request_becomes_a_queued_transcription(request_store: RequestStore):
    """The first request makes media, transcription and events, and it is due at once."""
    submission = request_store.submit(SOURCE, OPTIONS, metadata={"who": "me"})
    row = submission.transcription
    assert (submission.created, submission.queued) == (True, True)
    assert row.id == partition_key(SOURCE.media_id, OPTIONS)
    assert (row.status, row.attempt, row.try_number) == (TranscriptionStatus.QUEUED, 1, 1)
    assert row.options == OPTIONS
    assert get_transcription(request_store.postgres, row.id) == row
    assert get_media(request_store.postgres, SOURCE.media_id).source == SOURCE
    assert [item.id for item in request_store.due(10)] == [row.id]
    events = transcription_events(request_store.postgres, row.id)
    assert [event.event_type for event in events] == ["TranscriptionCreated", "Requested", "Queued"]
    assert events[1].data["request_id"] == str(submission.request_id)
    assert {event.schema_version for event in events} == {2}
    assert [event.event_id.version for event in events] == [7, 7, 7]
    assert {event.timestamp for event in events} == {row.created_at}


def test_ids_of_requests_come_in_time_order(request_store: RequestStore):
    """They are UUIDv7: a later one sorts later, and its first 48 bits are the time in ms."""
    first = request_store.submit(SOURCE, OPTIONS).request_id
    time.sleep(0.002)
    second = request_store.submit(SOURCE, OPTIONS).request_id
    assert first < second
    assert second.version == 7
    assert abs((second.int >> 80) / 1000 - time.time()) < 60


def test_equal_requests_share_a_transcription(request_store: RequestStore):
    """Two equal requests are two requests of one transcription."""
    first = request_store.submit(SOURCE, OPTIONS)
    second = request_store.submit(SOURCE, OPTIONS)
    assert (second.created, second.queued) == (False, False)
    assert first.request_id != second.request_id
    assert first.transcription.id == second.transcription.id
    assert status_counts(request_store.postgres)[TranscriptionStatus.QUEUED] == 1


def test_eight_at_once_make_one_transcription(
    request_store: RequestStore, database_server: DatabaseServer
):
    """Eight submit the same request, each on its own connection: one transcription, eight requests,
    one of them its creator."""
    barrier = threading.Barrier(8)

    def submit(_: int):
        barrier.wait()
        return request_store.submit(SOURCE, OPTIONS)

    with ThreadPoolExecutor(8) as threads:
        submissions = list(threads.map(submit, range(8)))
    assert sum(submission.created for submission in submissions) == 1
    assert len({submission.request_id for submission in submissions}) == 8
    assert sum(status_counts(request_store.postgres).values()) == 1
    with psycopg.connect(database_server.superuser_url) as connection:
        row = connection.execute("select count(*) from ytcaption.request").fetchone()
    assert row == (8,)


def test_other_options_are_another_transcription(request_store: RequestStore):
    """One media item with two sets of options is two transcriptions."""
    request_store.submit(SOURCE, OPTIONS)
    request_store.submit(SOURCE, TranscriptionOptions("base"))
    assert status_counts(request_store.postgres)[TranscriptionStatus.QUEUED] == 2


def test_an_id_with_other_options_is_never_shared(
    request_store: RequestStore, database_server: DatabaseServer
):
    """If two sets of options had the same id, no requester would get the other's text."""
    id = request_store.submit(SOURCE, OPTIONS).transcription.id
    with psycopg.connect(database_server.superuser_url) as connection:
        connection.execute(
            """update ytcaption.transcription set options = '{"model": "tiny"}' where id = %s""",
            (id,),
        )
    with pytest.raises(OptionsMismatch):
        request_store.submit(SOURCE, OPTIONS)


def test_known_facts_of_a_media_stay(request_store: RequestStore):
    """A later request with less information removes nothing."""
    request_store.submit(UPLOAD, OPTIONS)
    request_store.submit(MediaSource("upload-abc", "upload"), OPTIONS)
    assert get_media(request_store.postgres, "upload-abc").title == "talk.mp3"


def test_untrusted_text_is_stored_as_far_as_possible(request_store: RequestStore):
    """A title with a NUL and half a surrogate pair is stored without the first, with a mark for the
    second."""
    source = MediaSource("upload-abc", "upload", title="a\x00b\ud83d🎬")
    request_store.submit(source, OPTIONS, metadata={"k\x00": ["v\x00"]})
    assert get_media(request_store.postgres, "upload-abc").title == "ab?🎬"


def test_a_completed_one_is_shared(request_store: RequestStore):
    """A request for a completed transcription queues nothing."""
    id = completed(request_store, SOURCE, OPTIONS)
    submission = request_store.submit(SOURCE, OPTIONS)
    assert not submission.queued
    assert submission.transcription.status is TranscriptionStatus.COMPLETED
    assert request_store.due(10) == []
    assert get_transcription(request_store.postgres, id).completed_at is not None


@pytest.mark.parametrize("end", ["failed", "canceled"])
def test_a_failed_or_canceled_one_is_queued_again(
    request_store: RequestStore, run_store: RunStore, end: str
):
    """With a new series of attempts, under numbers Dagster has not seen."""
    id = request_store.submit(SOURCE, OPTIONS).transcription.id
    run_store.claim(id, "run-1", 1)
    if end == "failed":
        run_store.fail(id, "run-1", "media_private", "It is private.", False, 4)
    else:
        request_store.cancel(id)
    assert get_transcription(request_store.postgres, id).status == end
    submission = request_store.submit(SOURCE, OPTIONS)
    row = submission.transcription
    assert (submission.created, submission.queued) == (False, True)
    assert (row.status, row.attempt, row.try_number) == (TranscriptionStatus.QUEUED, 2, 1)
    assert (row.error_code, row.run_id) == (None, None)


def test_force_makes_a_completed_one_again(request_store: RequestStore):
    """Its document and its media's audio are discarded, so that both are made again."""
    id = completed(request_store, SOURCE, OPTIONS)
    submission = request_store.submit(SOURCE, OPTIONS, force=True)
    row = submission.transcription
    assert submission.queued
    assert (row.status, row.attempt, row.try_number) == (TranscriptionStatus.QUEUED, 2, 1)
    assert (row.document_key, row.completed_at) == (None, None)
    assert get_media(request_store.postgres, SOURCE.media_id).audio is None
    assert [item.id for item in request_store.due(10)] == [id]


def test_force_keeps_an_uploads_audio(request_store: RequestStore):
    """It cannot be downloaded again."""
    completed(request_store, UPLOAD, OPTIONS)
    request_store.submit(UPLOAD, OPTIONS, force=True)
    assert get_media(request_store.postgres, UPLOAD.media_id).audio == AUDIO


def test_force_is_refused_while_a_run_works(request_store: RequestStore, run_store: RunStore):
    """A running transcription is not reset."""
    id = request_store.submit(SOURCE, OPTIONS).transcription.id
    run_store.claim(id, "run-1", 1)
    with pytest.raises(TranscriptionBusy):
        request_store.submit(SOURCE, OPTIONS, force=True)
    assert get_transcription(request_store.postgres, id).run_id == "run-1"


def test_interactive_comes_before_bulk_then_age(request_store: RequestStore):
    """An interactive request moves a bulk transcription up."""
    ids = [
        request_store.submit(
            MediaSource(f"url-{name}", "direct", f"https://x.org/{name}"),
            OPTIONS,
            priority=priority,
        ).transcription.id
        for name, priority in (("a", "bulk"), ("b", "bulk"), ("c", "interactive"))
    ]
    assert [item.id for item in request_store.due(10)] == [ids[2], ids[0], ids[1]]
    assert [item.id for item in request_store.due(1)] == [ids[2]]
    request_store.submit(MediaSource("url-b", "direct"), OPTIONS)
    assert [item.id for item in request_store.due(10)] == [ids[1], ids[2], ids[0]]


def test_unknown_ids_are_not_found(request_store: RequestStore, run_store: RunStore):
    """Each read and write raises it; reading many returns those that exist."""
    for use in (
        lambda: get_transcription(request_store.postgres, "youtube-x.y"),
        lambda: request_store.cancel("youtube-x.y"),
        lambda: run_store.claim("youtube-x.y", "run-1"),
    ):
        with pytest.raises(TranscriptionNotFound):
            use()
    with pytest.raises(MediaNotFound):
        get_media(request_store.postgres, "youtube-x")
    id = request_store.submit(SOURCE, OPTIONS).transcription.id
    assert list(get_transcriptions(request_store.postgres, [id, "youtube-x.y"])) == [id]
    assert stored_segments(request_store.postgres, "youtube-x.y") == []


def test_the_newest_come_first(request_store: RequestStore):
    """A page is ordered by age, and ends at its limit."""
    ids = [
        request_store.submit(MediaSource(f"url-{name}", "direct"), OPTIONS).transcription.id
        for name in "abc"
    ]
    assert [row.id for row in recent_transcriptions(request_store.postgres, 2)] == [ids[2], ids[1]]


def test_a_late_commit_is_not_lost(request_store: RequestStore, database_server: DatabaseServer):
    """A request that began first and committed last is due like any other."""
    slow = MediaSource("url-slow", "direct", "https://x.org/slow")
    with psycopg.connect(database_server.superuser_url) as connection:
        connection.execute(
            "insert into ytcaption.media (id, kind) values (%s, 'direct')", (slow.media_id,)
        )
        slow_id = partition_key(slow.media_id, OPTIONS)
        connection.execute(
            "insert into ytcaption.transcription (id, media_id, options, priority) "
            "values (%s, %s, '{}', 'interactive')",
            (slow_id, slow.media_id),
        )
        fast_id = request_store.submit(SOURCE, OPTIONS).transcription.id
        assert [item.id for item in request_store.due(10)] == [fast_id]
        connection.commit()
    assert {item.id for item in request_store.due(10)} == {fast_id, slow_id}


def test_a_submit_wakes_waiters(request_store: RequestStore):
    """They wake up within 0.2 s of the commit."""
    woken: list[tuple[bool, float]] = []

    def wait():
        woken.append((request_store.wait_for_work(20), time.monotonic()))

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.3)
    assert not woken
    request_store.submit(SOURCE, OPTIONS)
    submitted = time.monotonic()
    thread.join()
    assert woken[0][0]
    assert woken[0][1] - submitted < 0.2


def test_waiting_ends_at_once_when_something_is_due(request_store: RequestStore):
    """A request from before the wait ends it at once."""
    request_store.submit(SOURCE, OPTIONS)
    began = time.monotonic()
    assert request_store.wait_for_work(20)
    assert time.monotonic() - began < patience()
    assert request_store.next_due_in_s() == 0


@pytest.mark.long
def test_known_run_keys_do_not_end_a_wait(request_store: RequestStore):
    """The next attempt does, and so does every other transcription."""
    id = request_store.submit(SOURCE, OPTIONS).transcription.id
    known = [run_key(id, 1)]
    assert not request_store.wait_for_work(0.1, known=known)
    settle_attempt(request_store.postgres, id, 1, "run_lost", "It was lost.", True, 4)
    began = time.monotonic()
    assert request_store.wait_for_work(20, known=known)
    assert time.monotonic() - began < 2 * patience()


@pytest.mark.long
def test_waiting_ends_without_work(request_store: RequestStore, run_store: RunStore):
    """After the given time, or when a retry is due, whichever is first."""
    assert request_store.next_due_in_s() is None
    assert not request_store.wait_for_work(0.1)
    id = request_store.submit(SOURCE, OPTIONS).transcription.id
    run_store.claim(id, "run-1", 1)
    run_store.fail(id, "run-1", "source_unavailable", "It is down.", True, 4)
    due_in_s = request_store.next_due_in_s()
    assert due_in_s is not None and 0.5 < due_in_s <= 1.25
    assert not request_store.wait_for_work(0.1)
    began = time.monotonic()
    assert request_store.wait_for_work(20)
    assert time.monotonic() - began < 2 * patience()
    assert [item.attempt for item in request_store.due(10)] == [2]


def test_a_queued_one_is_canceled(request_store: RequestStore):
    """It is due no more; canceling again changes nothing."""
    id = request_store.submit(SOURCE, OPTIONS).transcription.id
    assert request_store.cancel(id).status is TranscriptionStatus.CANCELED
    assert request_store.due(10) == []
    assert request_store.cancel(id).status is TranscriptionStatus.CANCELED
    types = [event.event_type for event in transcription_events(request_store.postgres, id)]
    assert types.count("Canceled") == 1


def test_a_completed_one_is_not_canceled(request_store: RequestStore):
    """A result stays a result."""
    id = completed(request_store, SOURCE, OPTIONS)
    assert request_store.cancel(id).status is TranscriptionStatus.COMPLETED


def test_events_hold_no_text_of_the_media(request_store: RequestStore, run_store: RunStore):
    """No title, URL, prompt or word of the transcript is in the append-only table."""
    source = MediaSource("upload-abc", "upload", title="SECRET title")
    options = TranscriptionOptions("base", initial_prompt="SECRET prompt")
    id = completed(request_store, source, options, info=MediaInfo(title="SECRET", chapters=()))
    request_store.submit(source, options, metadata={"note": "SECRET note"}, force=True)
    run_store.claim(id, "run-2", 2)
    run_store.fail(id, "run-2", "media_private", "SECRET message", False, 4)
    assert get_media(request_store.postgres, "upload-abc").title == "SECRET title"
    text = str(transcription_events(request_store.postgres, id))
    assert "SECRET" not in text and make_transcript(id).segments[0].text not in text


@pytest.mark.parametrize(
    "statement",
    [
        "update ytcaption.event set event_type = 'x'",
        "delete from ytcaption.event",
        "delete from ytcaption.event where false",
        "truncate ytcaption.event",
    ],
)
def test_events_are_append_only(
    request_store: RequestStore, database_server: DatabaseServer, statement: str
):
    """Even the owner and a superuser cannot change or remove one."""
    request_store.submit(SOURCE, OPTIONS)
    for url in (database_server.url, database_server.superuser_url):
        with psycopg.connect(url) as connection, pytest.raises(psycopg.Error, match="append-only"):
            connection.execute(statement)


def test_state_and_event_change_together(request_store: RequestStore, postgres: Postgres):
    """If the event cannot be written, the state does not change either."""
    id = request_store.submit(SOURCE, OPTIONS).transcription.id
    with postgres.transaction() as connection:
        before = connection.execute("select count(*) from ytcaption.event").fetchone()
    with pytest.raises(ZeroDivisionError), request_store.postgres.transaction() as connection:
        connection.execute("update ytcaption.transcription set status = 'failed'")
        raise ZeroDivisionError
    assert get_transcription(request_store.postgres, id).status is TranscriptionStatus.QUEUED
    with postgres.transaction() as connection:
        assert connection.execute("select count(*) from ytcaption.event").fetchone() == before


def test_media_info_is_read_as_written(request_store: RequestStore):
    """Chapters, dates and sizes included."""
    completed(request_store, SOURCE, OPTIONS)
    media = get_media(request_store.postgres, SOURCE.media_id)
    assert (media.info, media.audio) == (INFO, AUDIO)
    assert media.title == INFO.title
