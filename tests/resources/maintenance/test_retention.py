"""What is too old is removed; what is pinned or used stays."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from resources.maintenance.check import Finding, Installation, examine
from resources.maintenance.retention import RETENTION
from resources.object_store.store import audio_key, document_key, upload_key
from resources.transcriptions.actions import set_pinned
from resources.transcriptions.reads import get_media, get_transcription
from resources.transcriptions.segments import stored_segments
from tests.resources.maintenance.installation import (  # noqa: F401 - fixtures
    PARTITIONS,
    House,
    clean_instance,
    dagster_home,
    house,
    make_old,
)
from tests.resources.maintenance.test_erasure import MEDIA, SMALL
from ytcaption.domain.errors import TranscriptionErased
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.settings.settings import Settings

CHECKS = {check.code: check for check in RETENTION}
AUDIO = audio_key(MEDIA.media_id, "webm")


def applied(house: House, code: str, **settings: float) -> list[str]:
    """Return what a night removes with these settings; a check without repair changes nothing."""
    chosen = house.installation.settings.changed(**settings)
    installation = Installation(**{**house.installation.__dict__, "settings": chosen})
    looked = examine(installation, CHECKS[code], repair=False)
    done = examine(installation, CHECKS[code], repair=True)
    assert done.found == looked.found
    assert not examine(installation, CHECKS[code], repair=False).found
    return _done(done)


def _done(finding: Finding) -> list[str]:
    assert finding.problem is None
    assert finding.repaired is None or finding.repaired.left == {}
    return finding.repaired.done if finding.repaired else []


@pytest.mark.long
def test_old_audio_is_removed_and_its_transcript_stays(house: House):
    """The age of the last request counts, not that of the file."""
    id = house.here.completed()
    house.age(id, 10)
    assert applied(house, "audio_old", audio_days=11) == []
    assert applied(house, "audio_old", audio_days=0) == []
    house.here.queued()
    assert applied(house, "audio_old", audio_days=9) == [], "it was asked for just now"
    house.age(id, 10)
    assert applied(house, "audio_old", audio_days=9) == [MEDIA.media_id]
    assert not house.objects.exists(AUDIO)
    assert get_media(house.here.store.postgres, MEDIA.media_id).audio is None
    assert get_transcription(house.here.store.postgres, id).status is TranscriptionStatus.COMPLETED
    assert house.objects.exists(document_key(id))


def test_audio_that_one_transcription_needs_stays(house: House):
    """The audio is kept, however old its other transcriptions are."""
    house.age(house.here.completed(), 100)
    waiting = house.here.queued(SMALL)
    house.age(waiting, 50)
    assert applied(house, "audio_old", audio_days=9) == []
    assert house.objects.exists(AUDIO)


def test_uploads_have_an_age_of_their_own(house: House):
    """They cannot be downloaded again."""
    id = house.here.completed()
    house.execute("update ytcaption.media set kind = 'upload', audio_key = %(key)s", key=AUDIO)
    house.age(id, 100)
    assert applied(house, "audio_old", audio_days=9, upload_days=0) == []
    house.objects.write_bytes(upload_key(MEDIA.media_id), b"audio")
    house.execute("update ytcaption.media set audio_key = %(key)s", key=upload_key(MEDIA.media_id))
    assert applied(house, "audio_old", audio_days=0, upload_days=9) == [MEDIA.media_id]
    assert not house.objects.exists(upload_key(MEDIA.media_id))


@pytest.mark.slow
def test_old_transcripts_are_erased_only_if_configured(house: House):
    """Text, document and rows are erased."""
    id = house.here.completed()
    house.age(id, 100)
    assert dict(Settings.fields())["transcript_days"].default == 0
    assert applied(house, "transcript_old", transcript_days=0) == []
    assert applied(house, "transcript_old", transcript_days=99) == [id]
    with pytest.raises(TranscriptionErased):
        get_transcription(house.here.store.postgres, id)


@pytest.mark.parametrize("code", ["audio_old", "transcript_old", "partition_old", "run_old"])
@pytest.mark.long
def test_pinned_ones_are_never_too_old(house: House, code: str):
    """As long as one requester pins it, whatever the others set."""
    id = house.here.completed(owner="one", pinned=True)
    house.here.store.submit(
        MEDIA, get_transcription(house.here.store.postgres, id).options, owner="other"
    )
    house.age(id, 1_000)
    house.instance.add_dynamic_partitions(PARTITIONS, [id])
    run = finished_run(house, id, days=1_000)
    days = dict.fromkeys(("audio_days", "transcript_days", "partition_days", "run_days"), 1.0)
    set_pinned(house.here.store.postgres, id, "other", False)
    assert applied(house, code, **days) == []
    set_pinned(house.here.store.postgres, id, "one", False)
    wanted = {"audio_old": MEDIA.media_id, "run_old": run.run_id}.get(code, id)
    assert applied(house, code, **days) == [wanted]


def test_partitions_are_retired_and_come_back(house: House):
    """Their data stay; a transcription that is worked on keeps its partition."""
    old, new = house.here.completed(), house.here.completed(SMALL)
    house.age(old, 40)
    house.instance.add_dynamic_partitions(PARTITIONS, [old, new])
    assert applied(house, "partition_old", partition_days=30) == [old]
    assert house.instance.get_dynamic_partitions(PARTITIONS) == [new]
    assert stored_segments(house.here.store.postgres, old)


@pytest.mark.slow
def test_old_runs_are_removed_with_their_events(house: House):
    """Runs of unfinished transcriptions stay, and unfinished runs."""
    id, busy = house.here.completed(), house.here.queued(SMALL)
    old = finished_run(house, id, days=31)
    young = finished_run(house, id, days=29)
    of_busy = finished_run(house, busy, days=31)
    alive = house.run_of(id, dg.DagsterRunStatus.STARTED)
    assert applied(house, "run_old", run_days=0) == []
    assert applied(house, "run_old", run_days=30) == [old.run_id]
    left = {run.run_id for run in house.instance.get_runs()}
    assert left == {young.run_id, of_busy.run_id, alive.run_id}
    assert house.instance.all_logs(old.run_id) == []
    assert house.instance.all_logs(young.run_id) != []


def test_old_logs_are_removed(house: House):
    """Logs of failed runs of `ytcaption transcribe`."""
    logs = house.installation.settings.home / "logs"
    logs.mkdir(parents=True)
    for name, hours in (("transcribe-1.log", 31 * 24), ("transcribe-2.log", 1)):
        (logs / name).write_text("x")
        make_old(logs / name, hours)
    assert applied(house, "log_old", run_days=30) == [str(logs / "transcribe-1.log")]


def test_old_rows_are_removed(house: House):
    """Settled deliveries, answers to idempotency keys, checkpoints."""
    id = house.here.queued()
    house.execute(
        "insert into ytcaption.webhook (owner, url) values ('local', 'https://a.example')"
    )
    for days, status in ((31, "delivered"), (29, "dead"), (31, "waiting")):
        house.execute(
            "insert into ytcaption.delivery (webhook_id, owner, url, event_type, status, "
            "settled_at) select id, 'local', url, 'webhook.ping', %(status)s, "
            "case when %(status)s <> 'waiting' then now() - %(age)s::interval end "
            "from ytcaption.webhook",
            status=status,
            age=f"{days} days",
        )
    assert len(applied(house, "delivery_old", delivery_days=30)) == 1
    for hours in (23, 25):
        house.execute(
            "insert into ytcaption.idempotency values ('local', %(key)s, '', '[]', "
            "now() - %(age)s::interval)",
            key=f"key-{hours}",
            age=f"{hours} hours",
        )
    assert len(applied(house, "idempotency_old")) == 1
    house.execute(
        "insert into ytcaption.checkpoint values (%(id)s, 0, '', '{}', now() - interval '8 days'),"
        "(%(id)s, 1, '', '{}', now() - interval '6 days')",
        id=id,
    )
    assert applied(house, "checkpoint_old") == [id]
    assert [house.here.rows(name) for name in ("delivery", "idempotency", "checkpoint")] == [
        2,
        1,
        1,
    ]


def finished_run(house: House, id: str, *, days: float) -> dg.DagsterRun:
    """A run that ended some time ago, with an event."""
    run = house.run_of(id, dg.DagsterRunStatus.STARTED)
    house.instance.report_run_failed(run)
    import sqlalchemy as db

    with house.instance.run_storage.connect() as connection:
        connection.execute(
            db.text("update runs set update_timestamp = :at where run_id = :id"),
            {
                "at": (datetime.now(UTC) - timedelta(days=days)).replace(tzinfo=None),
                "id": run.run_id,
            },
        )
    return run
