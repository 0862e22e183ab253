"""What crashes leave is found, and mended once; what is in use is left alone."""

import fcntl
from pathlib import Path

import dagster as dg
import pytest

from resources.maintenance import run_checks as upkeep_runs
from resources.maintenance.check import examine
from resources.maintenance.check_registry import ALL_CHECKS
from resources.object_store.s3 import COPY_PREFIX
from resources.object_store.store import ObjectStore, audio_key, document_key, upload_key
from resources.postgres.advisory_locks import at_work, nothing_removed
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
from ytcaption.domain.events import EventType
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus
from ytcaption.domain.transcripts.transcript import Transcript

CHECKS = {check.code: check for check in ALL_CHECKS}
OTHER = TranscriptionOptions("tiny")


def mended_once(house: House, code: str) -> list[str]:
    """What the check finds without changing anything, and mends; afterwards it finds nothing."""
    check = CHECKS[code]
    found = house.look(check)
    assert found.is_wrong and found.mended is None
    mended = house.mend(check)
    assert mended.found == found.found
    assert mended.mended is not None and mended.mended.left == {}
    assert not house.look(check).found
    return list(mended.mended.done)


def test_nothing_is_wrong_with_what_is_well(house: House):
    """One of each state, just now: no check finds anything."""
    house.here.completed(in_lake=True)
    house.here.running(SMALL)
    house.here.asked(OTHER)
    findings = [house.look(check) for check in ALL_CHECKS]
    assert [(each.check.code, each.found) for each in findings if each.is_wrong] == []


def test_each_check_has_a_code_of_its_own():
    """By which programs know it."""
    assert len(CHECKS) == len(ALL_CHECKS)


def test_running_without_a_process_is_queued_again(house: House):
    """And the pool's slot of its run is free."""
    id = house.here.running()
    house.execute("update ytcaption.transcription set heartbeat_at = now() - interval '2 min'")
    assert mended_once(house, "running_without_process") == [id]
    assert house.here.store.get(id).status is TranscriptionStatus.QUEUED


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.NOT_STARTED])
def test_queued_with_a_run_that_is_over_gets_another(
    house: House, status: dg.DagsterRunStatus, monkeypatch: pytest.MonkeyPatch
):
    """Dagster would start none: its run key is used up, or the run is in no queue."""
    id = house.here.asked()
    run = house.run_of(id, status)
    assert not house.look(CHECKS["queued_without_run"]).found, "it may yet begin"
    house.execute(
        "update ytcaption.transcription set updated_at = now() - interval '1 hour', "
        "next_attempt_at = now() - interval '1 hour'"
    )
    monkeypatch.setattr(upkeep_runs, "UNSTARTED_S", -1)
    assert mended_once(house, "queued_without_run") == [id]
    row = house.here.store.get(id)
    assert (row.status, row.attempt, row.error_code) == ("queued", 2, "run_not_started")
    found = house.instance.get_run_by_id(run.run_id)
    assert found is not None and found.is_finished


def test_a_queued_one_whose_run_lives_is_left_alone(house: House):
    """However long the run takes to claim it."""
    house.run_of(house.here.asked(), dg.DagsterRunStatus.STARTED)
    house.execute("update ytcaption.transcription set updated_at = now() - interval '1 day'")
    assert not house.look(CHECKS["queued_without_run"]).found


def test_slots_of_runs_that_are_over_are_freed(house: House, monkeypatch: pytest.MonkeyPatch):
    """Those of a run that Dagster no longer knows, and of one that has ended; not a live one's."""
    storage = house.instance.event_log_storage
    storage.set_concurrency_slots("download", 5)
    live = house.run_of("live", dg.DagsterRunStatus.STARTED).run_id
    ended = house.run_of("ended", dg.DagsterRunStatus.FAILURE).run_id
    for run_id in ("forgotten", ended, live):
        storage.claim_concurrency_slot("download", run_id, "audio_download")
    assert house.look(CHECKS["slot_without_run"]).found == ("forgotten",), "one has just ended"
    monkeypatch.setattr(upkeep_runs, "SILENT_S", -1)
    assert mended_once(house, "slot_without_run") == sorted(["forgotten", ended])
    assert storage.get_concurrency_info("download").active_run_ids == {live}
    storage.free_concurrency_slots_for_run(live)


def test_partitions_and_rows_are_made_to_match(house: House):
    """A partition of nothing goes; a transcription's is added, unless it is retired by its age."""
    id, retired = house.here.completed(), house.here.completed(SMALL)
    house.age(id, 1)
    house.age(retired, 60)
    house.instance.add_dynamic_partitions(PARTITIONS, ["youtube-gone.x"])
    assert mended_once(house, "partition_without_row") == ["youtube-gone.x"]
    assert mended_once(house, "row_without_partition") == [id]
    assert house.instance.get_dynamic_partitions(PARTITIONS) == [id]


def test_files_without_rows_go_when_they_are_old(house: House):
    """Audio, a document and an upload that nobody asked for; what rows stand for stays."""
    id = house.here.completed()
    orphans = [audio_key("youtube-gone", "webm"), document_key("youtube-gone.x"), upload_key("u")]
    house.execute(
        "insert into ytcaption.media (id, kind) values ('upload-asked', 'upload')"
    )  # an upload that no run has looked at yet
    for key in (*orphans, upload_key("upload-asked")):
        house.objects.write_bytes(key, b"x")
    assert not house.look(CHECKS["file_without_row"]).found, "they are new"
    age_files(house)
    assert sorted(mended_once(house, "file_without_row")) == sorted(orphans)
    kept = {audio_key(MEDIA.media_id, "webm"), document_key(id), upload_key("upload-asked")}
    assert set(house.objects.list("audio")) | set(house.objects.list("transcripts")) == kept


def test_a_file_that_a_run_may_be_about_to_note_is_left(house: House):
    """The run holds its lock from before the file is written until after the row is."""
    key = audio_key("youtube-busy", "webm")
    house.objects.write_bytes(key, b"x")
    age_files(house)
    with at_work(house.parts.postgres, "youtube-busy.x", "youtube-busy"):
        finding = house.mend(CHECKS["file_without_row"])
    assert finding.mended is not None and list(finding.mended.left) == [key]
    assert finding.is_wrong and house.objects.exists(key)
    assert mended_once(house, "file_without_row") == [key]


def test_nothing_is_removed_while_a_backup_is_made(house: House):
    """It is told, and done the next time."""
    key = audio_key("youtube-gone", "webm")
    house.objects.write_bytes(key, b"x")
    age_files(house)
    with nothing_removed(house.parts.postgres):
        finding = house.mend(CHECKS["file_without_row"])
    assert finding.mended is not None and "backup" in finding.mended.left[key]
    assert house.objects.exists(key)


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_audio_that_is_gone_is_forgotten(house: House, damage: str):
    """So that it is downloaded again when needed."""
    house.here.completed()
    key = audio_key(MEDIA.media_id, "webm")
    if damage == "gone":
        house.objects.delete(key)
    else:
        house.objects.write_bytes(key, b"aud")
    assert mended_once(house, "audio_without_file") == [MEDIA.media_id]
    assert house.here.store.media(MEDIA.media_id).audio is None
    assert not house.objects.exists(key)


@pytest.mark.parametrize("code", ["document_missing", "document_damaged"])
def test_a_document_is_written_anew_from_the_rows(house: House, code: str):
    """Byte for byte, where nothing was dropped."""
    id = house.here.completed(in_lake=True)
    before = house.objects.read_bytes(document_key(id))
    if code == "document_missing":
        house.objects.delete(document_key(id))
    else:
        house.objects.write_bytes(document_key(id), b"{}")
    assert mended_once(house, code) == [id]
    assert house.objects.read_bytes(document_key(id)) == before


def test_what_was_dropped_is_lost_and_the_rest_is_whole(house: House):
    """The row then has the checksum of what is stored, and the lake follows."""
    id = house.here.completed(in_lake=True)
    house.execute("update ytcaption.transcription set document_sha256 = repeat('a', 64)")
    house.objects.delete(document_key(id))
    assert mended_once(house, "document_missing") == [id]
    row = house.here.store.get(id)
    data = house.objects.read_bytes(document_key(id), row.document_sha256)
    assert Transcript.from_json(data).text == "Good night."
    assert house.here.store.events(id)[-1].event_type == EventType.DOCUMENT_REBUILT
    assert check_replay(house.parts.postgres).differences == ()


def test_a_document_that_the_rows_do_not_have_is_said(house: House):
    """With what to do."""
    id = house.here.completed()
    house.objects.delete(document_key(id))
    house.execute("delete from ytcaption.segment")
    finding = house.mend(CHECKS["document_missing"])
    assert finding.mended is not None and "force" in finding.mended.left[id]
    assert finding.is_wrong


def test_the_lake_is_rebuilt_and_swept(house: House):
    """Rows that are missing, and files that no snapshot knows."""
    id = house.here.completed(in_lake=True)
    house.here.lake.delete(id)
    assert mended_once(house, "lake_differs") == [id]
    assert house.objects.folder is not None
    folder = house.objects.folder / "lake" / "main" / "words"
    unknown = folder / "left.parquet"
    unknown.write_bytes(next(folder.glob("*.parquet")).read_bytes())
    assert not house.look(CHECKS["lake_file_unknown"]).found, "its writer may yet commit"
    make_old(unknown)
    assert len(mended_once(house, "lake_file_unknown")) == 1
    assert not unknown.exists() and transcript_ids(house.here.lake) == {id}


def test_writes_of_killed_processes_go(house: House):
    """What is being written stays, however slowly."""
    assert house.objects.folder is not None
    house.objects.write_bytes("audio/a.webm", b"x")
    left, busy = (house.objects.folder / "audio" / f".{name}.webm.tmp" for name in "ab")
    for path in (left, busy):
        path.write_bytes(b"half")
        make_old(path)
    with busy.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert house.mend(CHECKS["write_unfinished"]).mended.done == ["audio/.a.webm.tmp"]
    assert not left.exists() and busy.exists()
    assert mended_once(house, "write_unfinished") == ["audio/.b.webm.tmp"]


def test_partial_downloads_of_nothing_go(house: House):
    """Those that are needed or new stay, and one that a run works on."""
    house.here.asked()
    root = Path(house.parts.workspace.root)
    for name in (MEDIA.media_id, "gone", "new", "busy"):
        with house.parts.workspace.download_directory(name) as folder:
            (folder / "part").write_bytes(b"half")
        if name != "new":
            for path in (root / name / "part", root / name, root / f"{name}.lock"):
                make_old(path)
    with house.parts.workspace.download_directory("busy"):
        for path in root.glob("busy*"):
            make_old(path)
        assert house.mend(CHECKS["download_left"]).mended.done == ["gone"]
    assert sorted(path.name for path in root.iterdir() if path.is_dir()) == sorted(
        [MEDIA.media_id, "new", "busy"]
    )


def test_temporary_files_of_killed_processes_go(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Uploads, samples on their way to a worker, copies of stored objects."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    home = house.parts.settings.home
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
    assert sorted(mended_once(house, "temporary_left")) == sorted(map(str, [*left, copy]))
    assert not copy.exists() and (home / "uploads" / "new.part").exists()


def test_drafts_leases_and_erasures_are_settled(house: House):
    """Of what does not run, of a notifier that died, and of an erasure that was cut short."""
    id = house.here.completed()
    house.execute(
        "insert into ytcaption.draft_segment (transcription_id, attempt, index, start_s, end_s, "
        "text) values (%(id)s, 1, 0, 0, 1, 'x')",
        id=id,
    )
    assert mended_once(house, "draft_left") == [id]
    house.execute(
        "insert into ytcaption.webhook (owner, url) values ('local', 'https://a.example')"
    )
    house.execute(
        "insert into ytcaption.delivery (webhook_id, owner, url, event_type, lease, leased_until) "
        "select id, 'local', url, 'webhook.ping', gen_random_uuid(), now() - interval '5 min' "
        "from ytcaption.webhook"
    )
    assert len(mended_once(house, "delivery_lease_ended")) == 1
    house.execute(
        "insert into ytcaption.tombstone (id_sha256) "
        "values (encode(sha256(convert_to(%(id)s, 'UTF8')), 'hex'))",
        id=id,
    )
    assert mended_once(house, "erasure_unfinished") == [id]
    assert house.here.rows("transcription") == 0


def test_a_part_that_is_away_is_told_and_takes_nothing_from_the_others(house: House):
    """The check is wrong with its problem; nothing is raised."""
    broken = ObjectStore(url="s3://nowhere/x", endpoint_url="http://127.0.0.1:9")
    parts = house.parts.__class__(**{**house.parts.__dict__, "objects": broken})
    finding = examine(parts, CHECKS["file_without_row"], repair=True)
    assert finding.is_wrong and finding.problem is not None


def test_s3_is_swept_like_a_folder(
    house: House, s3_object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
):
    """Objects without rows, and uploads in parts that nobody ended."""
    monkeypatch.setattr("resources.maintenance.file_checks.GRACE_S", -60.0)
    parts = house.parts.__class__(**{**house.parts.__dict__, "objects": s3_object_store})
    s3_object_store.write_bytes(audio_key("youtube-gone", "webm"), b"x")
    backend = s3_object_store._backend()
    backend._client.create_multipart_upload(
        Bucket=backend.bucket, Key=backend._name("audio/half.webm")
    )
    for code in ("file_without_row", "write_unfinished"):
        finding = examine(parts, CHECKS[code], repair=True)
        assert finding.mended is not None and len(finding.mended.done) == 1, code
        assert not examine(parts, CHECKS[code], repair=False).found, code


def age_files(house: House) -> None:
    """All that is stored is two days old."""
    assert house.objects.folder is not None
    for path in house.objects.folder.rglob("*"):
        if path.is_file():
            make_old(path)
