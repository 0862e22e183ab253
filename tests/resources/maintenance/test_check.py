"""Damage from crashes is found and repaired once; what is in use is not touched."""

import fcntl
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from resources.auth.api_keys import ApiKeys
from resources.maintenance import run_checks as run_checks
from resources.maintenance.check import examine
from resources.maintenance.check_registry import ALL_CHECKS
from resources.object_store.s3 import COPY_PREFIX
from resources.object_store.store import ObjectStore, audio_key, document_key, upload_key
from resources.postgres.advisory_locks import block_removals, work_lock
from resources.transcriptions.reads import get_media, get_transcription
from resources.transcriptions.replay import check_replay
from tests.resources.maintenance.installation import (  # noqa: F401 - fixtures
    PARTITIONS,
    House,
    clean_instance,
    dagster_home,
    house,
    make_old,
)
from tests.resources.maintenance.test_erasure import MEDIA, SMALL
from tests.support.lake_rows import transcript_ids
from tests.support.transcription_events import transcription_events
from ytcaption.domain.events import EventType
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus
from ytcaption.domain.transcripts.transcript import Transcript

CHECKS = {check.code: check for check in ALL_CHECKS}
OTHER = TranscriptionOptions("tiny")


def repaired_once(house: House, code: str) -> list[str]:
    """Return what a check repairs: it finds it without changing anything, then repairs it, then
    finds nothing."""
    check = CHECKS[code]
    found = house.look(check)
    assert found.is_wrong and found.repaired is None
    repaired = house.repair(check)
    assert repaired.found == found.found
    assert repaired.repaired is not None and repaired.repaired.left == {}
    assert not house.look(check).found
    return list(repaired.repaired.done)


@pytest.mark.slow
def test_a_sound_installation_has_no_findings(house: House):
    """It has one transcription in each state."""
    house.here.completed(in_lake=True)
    house.here.running(SMALL)
    house.here.queued(OTHER)
    findings = [house.look(check) for check in ALL_CHECKS]
    assert [(each.check.code, each.found) for each in findings if each.is_wrong] == []


def test_each_check_has_a_code_of_its_own():
    """Programs identify checks by it."""
    assert len(CHECKS) == len(ALL_CHECKS)


def test_running_without_a_process_is_queued_again(house: House):
    """And its run's slot in the pool is freed."""
    id = house.here.running()
    house.execute("update ytcaption.transcription set heartbeat_at = now() - interval '2 min'")
    assert repaired_once(house, "running_without_process") == [id]
    assert get_transcription(house.here.store.postgres, id).status is TranscriptionStatus.QUEUED


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.NOT_STARTED])
@pytest.mark.long
def test_queued_with_an_ended_run_gets_another(
    house: House, status: dg.DagsterRunStatus, monkeypatch: pytest.MonkeyPatch
):
    """Dagster would start none: its run key is used up, or the run was never queued."""
    id = house.here.queued()
    run = house.run_of(id, status)
    assert not house.look(CHECKS["queued_without_run"]).found, "it may yet begin"
    house.execute(
        "update ytcaption.transcription set updated_at = now() - interval '1 hour', "
        "next_attempt_at = now() - interval '1 hour'"
    )
    monkeypatch.setattr(run_checks, "UNSTARTED_S", -1)
    assert repaired_once(house, "queued_without_run") == [id]
    row = get_transcription(house.here.store.postgres, id)
    assert (row.status, row.attempt, row.error_code) == ("queued", 2, "run_not_started")
    found = house.instance.get_run_by_id(run.run_id)
    assert found is not None and found.is_finished


@pytest.mark.long
def test_a_queued_one_with_a_live_run_is_not_touched(house: House):
    """However long the run takes to claim it."""
    house.run_of(house.here.queued(), dg.DagsterRunStatus.STARTED)
    house.execute("update ytcaption.transcription set updated_at = now() - interval '1 day'")
    assert not house.look(CHECKS["queued_without_run"]).found


@pytest.mark.slow
def test_slots_of_ended_runs_are_freed(house: House, monkeypatch: pytest.MonkeyPatch):
    """Those of a run that Dagster does not know, and of an ended one; not a live run's."""
    storage = house.instance.event_log_storage
    storage.set_concurrency_slots("download", 5)
    live = house.run_of("live", dg.DagsterRunStatus.STARTED).run_id
    ended = house.run_of("ended", dg.DagsterRunStatus.FAILURE).run_id
    for run_id in ("forgotten", ended, live):
        storage.claim_concurrency_slot("download", run_id, "audio_download")
    assert house.look(CHECKS["slot_without_run"]).found == ("forgotten",), "one has just ended"
    monkeypatch.setattr(run_checks, "SILENT_S", -1)
    assert repaired_once(house, "slot_without_run") == sorted(["forgotten", ended])
    assert storage.get_concurrency_info("download").active_run_ids == {live}
    storage.free_concurrency_slots_for_run(live)


@pytest.mark.long
def test_partitions_and_rows_are_made_to_match(house: House):
    """A partition without a row is removed; a missing one is added, unless it is retired by age."""
    id, retired = house.here.completed(), house.here.completed(SMALL)
    house.age(id, 1)
    house.age(retired, 60)
    house.instance.add_dynamic_partitions(PARTITIONS, ["youtube-gone.x"])
    assert repaired_once(house, "partition_without_row") == ["youtube-gone.x"]
    assert repaired_once(house, "row_without_partition") == [id]
    assert house.instance.get_dynamic_partitions(PARTITIONS) == [id]


def test_what_was_canceled_before_it_had_a_partition_needs_none(house: House):
    """No run has seen it. Queued again, it gets one."""
    store = house.here.store
    id = store.submit(MEDIA, SMALL).transcription.id
    store.cancel(id)
    house.age(id, 1)
    assert not house.look(CHECKS["row_without_partition"]).found
    store.submit(MEDIA, SMALL)
    house.age(id, 1)
    assert repaired_once(house, "row_without_partition") == [id]


@pytest.mark.long
def test_old_files_without_rows_are_removed(house: House):
    """Audio, a document and an unrequested upload; files of rows stay."""
    id = house.here.completed()
    orphans = [audio_key("youtube-gone", "webm"), document_key("youtube-gone.x"), upload_key("u")]
    house.execute(
        "insert into ytcaption.media (id, kind) values ('upload-asked', 'upload')"
    )  # an upload that no run has looked at yet
    for key in (*orphans, upload_key("upload-asked")):
        house.objects.write_bytes(key, b"x")
    assert not house.look(CHECKS["file_without_row"]).found, "they are new"
    age_files(house)
    assert sorted(repaired_once(house, "file_without_row")) == sorted(orphans)
    kept = {audio_key(MEDIA.media_id, "webm"), document_key(id), upload_key("upload-asked")}
    assert set(house.objects.list("audio")) | set(house.objects.list("transcripts")) == kept


def test_a_file_of_a_working_run_is_not_removed(house: House):
    """The run holds its lock from before the file is written until after the row is."""
    key = audio_key("youtube-busy", "webm")
    house.objects.write_bytes(key, b"x")
    age_files(house)
    with work_lock(house.installation.postgres, "youtube-busy.x", "youtube-busy"):
        finding = house.repair(CHECKS["file_without_row"])
    assert finding.repaired is not None and list(finding.repaired.left) == [key]
    assert finding.is_wrong and house.objects.exists(key)
    assert repaired_once(house, "file_without_row") == [key]


def test_nothing_is_removed_while_a_backup_is_made(house: House):
    """It is reported, and removed the next time."""
    key = audio_key("youtube-gone", "webm")
    house.objects.write_bytes(key, b"x")
    age_files(house)
    with block_removals(house.installation.postgres):
        finding = house.repair(CHECKS["file_without_row"])
    assert finding.repaired is not None and "backup" in finding.repaired.left[key]
    assert house.objects.exists(key)


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_missing_audio_is_removed_from_the_row(house: House, damage: str):
    """So that it is downloaded again when needed."""
    house.here.completed()
    key = audio_key(MEDIA.media_id, "webm")
    if damage == "gone":
        house.objects.delete(key)
    else:
        house.objects.write_bytes(key, b"aud")
    assert repaired_once(house, "audio_without_file") == [MEDIA.media_id]
    assert get_media(house.here.store.postgres, MEDIA.media_id).audio is None
    assert not house.objects.exists(key)


@pytest.mark.parametrize("code", ["document_missing", "document_damaged"])
@pytest.mark.long
def test_a_document_is_rebuilt_from_the_rows(house: House, code: str):
    """Byte for byte, if nothing was dropped."""
    id = house.here.completed(in_lake=True)
    before = house.objects.read_bytes(document_key(id))
    if code == "document_missing":
        house.objects.delete(document_key(id))
    else:
        house.objects.write_bytes(document_key(id), b"{}")
    assert repaired_once(house, code) == [id]
    assert house.objects.read_bytes(document_key(id)) == before


@pytest.mark.slow
def test_dropped_segments_are_lost_and_the_rest_is_rebuilt(house: House):
    """The row then has the checksum of the new document, and the lake follows."""
    id = house.here.completed(in_lake=True)
    house.execute("update ytcaption.transcription set document_sha256 = repeat('a', 64)")
    house.objects.delete(document_key(id))
    assert repaired_once(house, "document_missing") == [id]
    row = get_transcription(house.here.store.postgres, id)
    data = house.objects.read_bytes(document_key(id), row.document_sha256)
    assert Transcript.from_json(data).text == "Good night."
    assert (
        transcription_events(house.here.store.postgres, id)[-1].event_type
        == EventType.DOCUMENT_REBUILT
    )
    assert check_replay(house.installation.postgres).differences == ()


@pytest.mark.long
def test_a_document_that_cannot_be_rebuilt_is_reported(house: House):
    """The report says what to do."""
    id = house.here.completed()
    house.objects.delete(document_key(id))
    house.execute("delete from ytcaption.segment")
    finding = house.repair(CHECKS["document_missing"])
    assert finding.repaired is not None and "force" in finding.repaired.left[id]
    assert finding.is_wrong


@pytest.mark.long
def test_the_lake_is_rebuilt_and_swept(house: House):
    """Missing rows are added, and files outside any snapshot removed."""
    id = house.here.completed(in_lake=True)
    house.here.lake.delete(id)
    assert repaired_once(house, "lake_differs") == [id]
    assert house.objects.folder is not None
    folder = house.objects.folder / "lake" / "main" / "words"
    unknown = folder / "left.parquet"
    unknown.write_bytes(next(folder.glob("*.parquet")).read_bytes())
    assert not house.look(CHECKS["lake_file_unknown"]).found, "its writer may yet commit"
    make_old(unknown)
    assert len(repaired_once(house, "lake_file_unknown")) == 1
    assert not unknown.exists() and transcript_ids(house.here.lake) == {id}


def test_writes_of_killed_processes_are_removed(house: House):
    """A file that is being written stays, however slowly."""
    assert house.objects.folder is not None
    house.objects.write_bytes("audio/a.webm", b"x")
    left, busy = (house.objects.folder / "audio" / f".{name}.webm.tmp" for name in "ab")
    for path in (left, busy):
        path.write_bytes(b"half")
        make_old(path)
    with busy.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert house.repair(CHECKS["write_unfinished"]).repaired.done == ["audio/.a.webm.tmp"]
    assert not left.exists() and busy.exists()
    assert repaired_once(house, "write_unfinished") == ["audio/.b.webm.tmp"]


def test_abandoned_downloads_are_removed(house: House):
    """Needed and new ones stay, and one that a run works on."""
    house.here.queued()
    root = Path(house.installation.workspace.root)
    for name in (MEDIA.media_id, "gone", "new", "busy"):
        with house.installation.workspace.download_directory(name) as folder:
            (folder / "part").write_bytes(b"half")
        if name != "new":
            for path in (root / name / "part", root / name, root / f"{name}.lock"):
                make_old(path)
    with house.installation.workspace.download_directory("busy"):
        for path in root.glob("busy*"):
            make_old(path)
        assert house.repair(CHECKS["download_left"]).repaired.done == ["gone"]
    assert sorted(path.name for path in root.iterdir() if path.is_dir()) == sorted(
        [MEDIA.media_id, "new", "busy"]
    )


def test_temporary_files_of_killed_processes_are_removed(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Uploads, samples for a worker, copies of stored objects."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    home = house.installation.settings.home
    (home / "uploads").mkdir(parents=True)
    left = [home / "uploads" / "a.part", home / ".samples-a"]
    for path in left:
        path.write_bytes(b"x")
        make_old(path)
    copy = tmp_path / f"{COPY_PREFIX}a"
    copy.mkdir()
    (copy / "audio.webm").write_bytes(b"x")
    for path in (copy / "audio.webm", copy):
        make_old(path)
    (home / "uploads" / "new.part").write_bytes(b"x")
    assert sorted(repaired_once(house, "temporary_left")) == sorted(map(str, [*left, copy]))
    assert not copy.exists() and (home / "uploads" / "new.part").exists()


@pytest.mark.slow
def test_drafts_leases_and_erasures_are_settled(house: House):
    """Of a transcription that is not running, of a dead notifier, and of an interrupted erasure."""
    id = house.here.completed()
    house.execute(
        "insert into ytcaption.draft_segment (transcription_id, attempt, index, start_s, end_s, "
        "text) values (%(id)s, 1, 0, 0, 1, 'x')",
        id=id,
    )
    assert repaired_once(house, "draft_left") == [id]
    house.execute(
        "insert into ytcaption.webhook (owner, url) values ('local', 'https://a.example')"
    )
    house.execute(
        "insert into ytcaption.delivery (webhook_id, owner, url, event_type, lease, leased_until) "
        "select id, 'local', url, 'webhook.ping', gen_random_uuid(), now() - interval '5 min' "
        "from ytcaption.webhook"
    )
    assert len(repaired_once(house, "delivery_lease_ended")) == 1
    key = ApiKeys(house.installation.api).create("old", ["read"], expires_in=timedelta(0)).row
    assert repaired_once(house, "key_expired") == [key.caller.owner]
    house.execute(
        "insert into ytcaption.tombstone (id_sha256) "
        "values (encode(sha256(convert_to(%(id)s, 'UTF8')), 'hex'))",
        id=id,
    )
    assert repaired_once(house, "erasure_unfinished") == [id]
    assert house.here.rows("transcription") == 0


def test_an_unavailable_part_is_reported(house: House):
    """The check has a problem; nothing is raised."""
    broken = ObjectStore(url="s3://nowhere/x", endpoint_url="http://127.0.0.1:9")
    installation = house.installation.__class__(
        **{**house.installation.__dict__, "objects": broken}
    )
    finding = examine(installation, CHECKS["file_without_row"], repair=True)
    assert finding.is_wrong and finding.problem is not None


@pytest.mark.long
def test_s3_is_swept_like_a_folder(
    house: House, s3_object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
):
    """Objects without rows, and multipart uploads that were not finished."""
    monkeypatch.setattr("resources.maintenance.file_checks.GRACE_S", -60.0)
    installation = house.installation.__class__(
        **{**house.installation.__dict__, "objects": s3_object_store}
    )
    s3_object_store.write_bytes(audio_key("youtube-gone", "webm"), b"x")
    backend = s3_object_store._backend()
    backend._client.create_multipart_upload(
        Bucket=backend.bucket, Key=backend._name("audio/half.webm")
    )
    for code in ("file_without_row", "write_unfinished"):
        finding = examine(installation, CHECKS[code], repair=True)
        assert finding.repaired is not None and len(finding.repaired.done) == 1, code
        assert not examine(installation, CHECKS[code], repair=False).found, code


def age_files(house: House) -> None:
    """Make all stored files two days old."""
    assert house.objects.folder is not None
    for path in house.objects.folder.rglob("*"):
        if path.is_file():
            make_old(path)
