"""Operators' views of the queue and their actions."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from resources.admin import service as admin
from resources.admin.service import CancelFilter, RetryFilter, cancel_all, overview, retry_all
from resources.orchestration.pauses import (
    follow_pauses,
    pause,
    paused_parts,
    pauses,
    pool_slots,
    resume,
)
from resources.postgres.connection import Postgres
from resources.transcriptions.reads import get_transcription, status_counts
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.support.transcription_events import transcription_events
from ytcaption.domain.media.media import MediaInfo, MediaSource, StoredAudio
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus
from ytcaption.settings.settings import Settings

AUDIO = StoredAudio("audio/a.webm", "0" * 64, 1_000, 11.0, "opus", "webm", 48_000, 2)


@pytest.fixture
def api(settings: Settings) -> Postgres:
    """With the rights of the API."""
    return Postgres.from_settings(settings, "api")


def submit(store: RequestStore, name: str) -> str:
    source = MediaSource(f"youtube-{name}", "site", f"https://youtu.be/{name}", "Youtube", name)
    return store.submit(source, TranscriptionOptions(model="base")).transcription.id


def fail(store: RequestStore, name: str, code: str, channel: str = "JFK Library") -> str:
    id = submit(store, name)
    RunStore(postgres=store.postgres).claim(id, f"run-{name}")
    info = MediaInfo(title=name, channel=channel, channel_id=f"id-{channel}")
    RunStore(postgres=store.postgres).audio_stored(id, f"run-{name}", info, AUDIO)
    RunStore(postgres=store.postgres).fail(id, f"run-{name}", code, "It did not work.", False, 4)
    return id


def test_the_overview(
    api: Postgres, request_store: RequestStore, run_store: RunStore, settings: Settings
):
    """Numbers by status, longest wait, running work, failures by cause, pauses, free space."""
    submit(request_store, "waiting")
    running = submit(request_store, "running")
    run_store.claim(running, "run-1")
    run_store.progress(running, "run-1", "transcription", 3.0, 11.0)
    fail(request_store, "failing", "media_private")
    pause(api, "download", "The site asks for less.", "key:ab12")
    seen = overview(api, settings.home)
    assert seen.counts == {"queued": 1, "running": 1, "completed": 0, "failed": 1, "canceled": 0}
    assert seen.oldest_waiting_s is not None and seen.oldest_waiting_s < 60
    (row,) = seen.running
    assert (row.id, row.title, row.stage) == (running, "running", "transcription")
    assert (row.progress_done, row.progress_total, row.run_id) == (3.0, 11.0, "run-1")
    assert 0 <= row.age_s < 60 and 0 <= row.silent_s < 60
    (failure,) = seen.failures
    assert (failure.code, failure.number) == ("media_private", 1)
    assert failure.last_message == "It did not work."
    (paused,) = seen.pauses
    assert (paused.part, paused.paused_by) == ("download", "key:ab12")
    assert (seen.media_count, seen.audio_bytes) == (3, 1_000)
    assert 0 < seen.disk_free_bytes < seen.disk_total_bytes


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (RetryFilter(), {"private", "blocked", "other"}),
        (RetryFilter(code="source_blocked"), {"blocked", "other"}),
        (RetryFilter(channel="Elsewhere"), {"other"}),
        (RetryFilter(channel="id-Elsewhere", code="media_private"), set()),
        (RetryFilter(created_after=datetime.now(UTC) + timedelta(hours=1)), set()),
        (RetryFilter(created_before=datetime.now(UTC) + timedelta(hours=1)), {"*"}),
        (RetryFilter(status="canceled"), {"canceled"}),
    ],
)
def test_matching_ones_are_queued_again(
    api: Postgres, request_store: RequestStore, chosen: RetryFilter, expected: set[str]
):
    """And no others: each with a new attempt, a new series, and an event."""
    ids = {
        "private": fail(request_store, "private", "media_private"),
        "blocked": fail(request_store, "blocked", "source_blocked"),
        "other": fail(request_store, "other", "source_blocked", "Elsewhere"),
        "canceled": submit(request_store, "canceled"),
    }
    request_store.cancel(ids["canceled"])
    if expected == {"*"}:
        expected = {"private", "blocked", "other"}
    affected = retry_all(api, chosen, "local")
    assert set(affected.ids) == {ids[name] for name in expected}
    assert affected.number == len(expected)
    for name, id in ids.items():
        row, events = (
            get_transcription(request_store.postgres, id),
            transcription_events(request_store.postgres, id),
        )
        if name in expected:
            assert (row.status, row.attempt) == (TranscriptionStatus.QUEUED, 2)
            assert (row.try_number, row.error_code) == (1, None)
            assert events[-1].event_type == "Queued"
            assert events[-1].data == {
                "attempt": 2,
                "priority": "interactive",
                "by": "admin",
            }
        else:
            assert row.status.is_final
    assert {due.id for due in request_store.due(10)} == {ids[name] for name in expected}


def test_many_are_queued_in_batches(
    api: Postgres, request_store: RequestStore, monkeypatch: pytest.MonkeyPatch
):
    """All of them; the answer lists the first."""
    monkeypatch.setattr(admin, "BATCH", 2)
    monkeypatch.setattr(admin, "LISTED", 3)
    for number in range(5):
        fail(request_store, f"failed{number}", "source_blocked")
    affected = retry_all(api, RetryFilter(), "local")
    assert (affected.number, len(affected.ids)) == (5, 3)
    assert status_counts(request_store.postgres)[TranscriptionStatus.QUEUED] == 5


def test_a_pause_says_who_and_why_until_it_is_resumed(api: Postgres, postgres: Postgres):
    """Pausing twice is one pause; sensors may read it."""
    pause(api, "intake", "Moving house.", "local")
    pause(api, "intake", "Still moving.", "key:ab12")
    (paused,) = pauses(postgres)
    assert (paused.part, paused.reason, paused.paused_by) == ("intake", "Still moving.", "key:ab12")
    assert resume(api, "intake", "local")
    assert not resume(api, "intake", "local")
    assert paused_parts(api) == frozenset()


def test_pools_follow_the_rows(settings: Settings):
    """No slots while paused, those of the settings afterwards; other chosen numbers stay."""
    settings = settings.changed(download_slots=3, transcription_slots=2, listing_slots=1)
    assert pool_slots(settings, {"download", "intake"}) == {
        "download": 0,
        "transcription": 2,
        "listing": 1,
    }

    def limits() -> dict[str, int | None]:
        return {each.name: each.limit for each in instance.event_log_storage.get_pool_limits()}

    with dg.DagsterInstance.ephemeral() as instance:
        follow_pauses(instance, settings, {"download"})
        assert limits() == {"download": 0, "transcription": 2, "listing": 1}
        instance.event_log_storage.set_concurrency_slots("transcription", 1)
        follow_pauses(instance, settings, {"download"})
        assert limits() == {"download": 0, "transcription": 1, "listing": 1}
        follow_pauses(instance, settings, ())
        assert limits() == {"download": 3, "transcription": 1, "listing": 1}


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (CancelFilter(), {"annas", "berts", "both", "elsewhere"}),
        (CancelFilter(owner="key:anna"), {"annas", "both"}),
        (CancelFilter(site="elsewhere.org"), {"elsewhere"}),
        (CancelFilter(channel="JFK Library"), set()),
        (CancelFilter(created_after=datetime.now(UTC) + timedelta(hours=1)), set()),
        (CancelFilter(created_before=datetime(2000, 1, 1, tzinfo=UTC)), set()),
        (CancelFilter(status="running"), {"running"}),
    ],
)
def test_matching_ones_are_canceled(
    api: Postgres,
    request_store: RequestStore,
    run_store: RunStore,
    chosen: CancelFilter,
    expected: set[str],
):
    """And no others; what another owner has requested, too, goes on for that owner."""
    ids = {
        name: request_store.submit(
            MediaSource(f"youtube-{name}", "site", f"https://{host}/{name}", "Youtube"),
            TranscriptionOptions(model="base"),
            owner=owner,
        ).transcription.id
        for name, host, owner in (
            ("annas", "youtu.be", "key:anna"),
            ("berts", "youtu.be", "key:bert"),
            ("both", "youtu.be", "key:anna"),
            ("elsewhere", "elsewhere.org", "key:bert"),
            ("running", "youtu.be", "key:anna"),
        )
    }
    both = MediaSource("youtube-both", "site", "https://youtu.be/both", "Youtube")
    request_store.submit(both, TranscriptionOptions(model="base"), owner="key:bert")
    run_store.claim(ids["running"], "run-1")
    states = {name: get_transcription(api, id).status for name, id in ids.items()}

    listed = cancel_all(api, chosen, "local", dry_run=True)
    assert {name: get_transcription(api, id).status for name, id in ids.items()} == states

    affected = cancel_all(api, chosen, "local", dry_run=False)
    assert set(affected.ids) == set(listed.ids) == {ids[name] for name in expected}
    stays = {"both"} if chosen.owner else set()
    for name, id in ids.items():
        is_canceled = name in expected - stays
        status = TranscriptionStatus.CANCELED if is_canceled else states[name]
        assert get_transcription(api, id).status is status, name
    if chosen.owner:
        rows = api.rows(
            "select owner from ytcaption.request where transcription_id = %(id)s",
            {"id": ids["both"]},
        )
        assert [row["owner"] for row in rows] == ["key:bert"]
    assert cancel_all(api, chosen, "local", dry_run=False).number == 0


def test_many_are_canceled_in_batches(
    api: Postgres, request_store: RequestStore, monkeypatch: pytest.MonkeyPatch
):
    """All of them; they can be queued again."""
    monkeypatch.setattr(admin, "BATCH", 2)
    for number in range(5):
        submit(request_store, f"queued{number}")
    assert cancel_all(api, CancelFilter(), "local", dry_run=False).number == 5
    assert status_counts(api)[TranscriptionStatus.QUEUED] == 0
    assert retry_all(api, RetryFilter("canceled"), "local").number == 5
