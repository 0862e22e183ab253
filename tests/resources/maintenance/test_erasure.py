"""Erasure of a transcription: what is left, what stays for others, what a failure leaves."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import pytest

from resources.download.workspace import Workspace
from resources.embeddings.backlog import embed_waiting
from resources.embeddings.store import EmbeddingStore
from resources.lake.catalog import TranscriptCatalog
from resources.maintenance import erasure as erasure_module
from resources.maintenance.erasure import Erasure
from resources.object_store.store import ObjectStore, audio_key, document_key
from resources.orchestration.orchestrator import Orchestrator
from resources.orchestration.partitions import transcription_partitions
from resources.postgres.advisory_locks import work_lock
from resources.postgres.connection import Postgres
from resources.transcriptions.captions import store_captions
from resources.transcriptions.listing import transcription_page
from resources.transcriptions.reads import get_media, get_transcription, transcript_timings
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.api.conftest import dagster_home  # noqa: F401 - a fixture
from tests.support.embedding import ToyEmbedder
from tests.support.lake_rows import row_counts
from tests.support.transcription_events import transcription_events
from tests.support.transcripts import make_transcript, spoken
from ytcaption.domain.caption_choice import CaptionChoice
from ytcaption.domain.captions.track_segments import CaptionTrack
from ytcaption.domain.errors import (
    ClaimLost,
    DagsterUnavailable,
    LakeUnavailable,
    ObjectStoreUnavailable,
    TranscriptionBusy,
    TranscriptionErased,
    TranscriptionNotFound,
    YtcaptionError,
)
from ytcaption.domain.media.media import MediaInfo, MediaSource, StoredAudio
from ytcaption.domain.request import TranscriptionOptions, TranscriptionStatus
from ytcaption.settings.settings import Settings

MEDIA = MediaSource("youtube-abc", "site", "https://youtu.be/abc", "Youtube")
BASE, SMALL = TranscriptionOptions("base"), TranscriptionOptions("small")
RUN = "run-1"


@pytest.fixture
def erasure(settings: Settings, dagster_home: object) -> Iterator[Erasure]:
    """With the rights of the API."""
    orchestrator = Orchestrator()
    yield Erasure(settings, Postgres.from_settings(settings, "api"), orchestrator)
    orchestrator.close()


class Here:
    """Puts transcriptions into a state, as runs would."""

    def __init__(self, store: RequestStore, objects: ObjectStore, settings: Settings) -> None:
        self.store, self.objects, self.settings = store, objects, settings

    @property
    def run_store(self) -> RunStore:
        """The store that runs use."""
        return RunStore(postgres=self.store.postgres)

    def queued(self, options: TranscriptionOptions = BASE, **more) -> str:
        """Queue a transcription."""
        return self.store.submit(MEDIA, options, **more).transcription.id

    def running(self, options: TranscriptionOptions = BASE, **more) -> str:
        """One that is running, with its audio stored."""
        id = self.queued(options, **more)
        self.run_store.claim(id, RUN)
        written = self.objects.write_bytes(audio_key(MEDIA.media_id, "webm"), b"audio")
        audio = StoredAudio(
            audio_key(MEDIA.media_id, "webm"), written.sha256, 5, 1.0, "opus", "webm", 48_000, 1
        )
        self.run_store.audio_stored(id, RUN, MediaInfo(title="A title"), audio)
        return id

    def completed(
        self, options: TranscriptionOptions = BASE, *, in_lake: bool = False, **more
    ) -> str:
        """One with its text and, if requested, its rows in the lake."""
        id = self.running(options, **more)
        transcript = make_transcript(spoken("Good night."), id=id, model=options.model)
        written = self.objects.write_bytes(document_key(id), transcript.to_json())
        self.run_store.transcript_stored(id, RUN, transcript, document_key(id), written.sha256)
        if in_lake:
            media, timings = MediaInfo(title="A title"), transcript_timings(self.store.postgres, id)
            self.lake.append(transcript, MEDIA, media, timings=timings)
        self.run_store.complete(id, RUN)
        return id

    @property
    def lake(self) -> TranscriptCatalog:
        """The lake."""
        return TranscriptCatalog.from_settings(self.settings)

    def rows(self, table: str) -> int:
        """The number of rows."""
        with self.store.postgres.transaction() as connection:
            row = connection.execute(f"select count(*) as n from ytcaption.{table}").fetchone()
        return row["n"] if row else 0

    def counts(self) -> dict[str, int]:
        """Numbers of rows of all tables that must be empty."""
        names = (
            "transcription",
            "media",
            "request",
            "segment",
            "draft_segment",
            "checkpoint",
            "caption_track",
            "embedding",
            "embedding_done",
        )
        return {name: self.rows(name) for name in names}


@pytest.fixture
def here(request_store: RequestStore, object_store: ObjectStore, settings: Settings) -> Here:
    """An empty installation."""
    return Here(request_store, object_store, settings)


@pytest.fixture
def no_lake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if the lake is opened."""
    monkeypatch.setattr(TranscriptCatalog, "erase", lambda *_: None)


@pytest.mark.long
def test_everything_is_deleted_but_a_tombstone(erasure: Erasure, here: Here):
    """Rows, document, audio, lake rows, downloads and partition are deleted."""
    id = here.completed(in_lake=True)
    with here.store.postgres.transaction() as connection:
        track = CaptionTrack("vtt", b"Good night.")
        store_captions(connection, id, CaptionChoice("There are some."), track)
    assert here.counts()["caption_track"] == 1
    list(embed_waiting(EmbeddingStore(here.store.postgres), ToyEmbedder({})))
    assert here.counts()["embedding"] == here.counts()["embedding_done"] == 1
    workspace = Workspace.from_settings(here.settings)
    with workspace.download_directory(MEDIA.media_id) as folder:
        (folder / "part").write_bytes(b"half")
    erasure._orchestrator.add_partitions([id])

    assert erasure.erase(id)

    assert set(here.counts().values()) == {0}
    assert [key for key in here.objects.list() if not key.startswith("lake/")] == []
    assert set(row_counts(here.lake, id).values()) == {0}
    assert not folder.exists()
    instance = dg.DagsterInstance.get()
    assert not instance.has_dynamic_partition(transcription_partitions.name or "", id)
    with pytest.raises(TranscriptionErased):
        get_transcription(here.store.postgres, id)
    assert [event.event_type for event in transcription_events(here.store.postgres, id)][
        -1
    ] == "Erased"
    assert erasure.erase(id), "again is no error"


def test_a_new_request_makes_it_again(erasure: Erasure, here: Here, no_lake: None):
    """The tombstone is deleted, and nothing of the old one is shown."""
    id = here.completed(metadata={"mine": 1})
    erasure.erase(id)

    again = here.store.submit(MEDIA, BASE)

    assert (again.created, again.transcription.id) == (True, id)
    assert get_transcription(here.store.postgres, id).document_key is None
    assert get_media(here.store.postgres, MEDIA.media_id).title is None
    assert here.rows("tombstone") == 0


@pytest.mark.long
def test_audio_stays_for_another_transcription(erasure: Erasure, here: Here, no_lake: None):
    """Until the last one of the media is erased."""
    first, second = here.completed(BASE), here.completed(SMALL)

    erasure.erase(first)
    audio = get_media(here.store.postgres, MEDIA.media_id).audio
    assert audio is not None and here.objects.exists(audio.key)
    assert get_transcription(here.store.postgres, second).status is TranscriptionStatus.COMPLETED
    assert here.objects.exists(document_key(second))

    erasure.erase(second)
    assert here.rows("media") == 0
    assert list(here.objects.list("audio")) == []


@pytest.mark.long
def test_two_of_one_media_at_once_leave_nothing(
    erasure: Erasure, here: Here, no_lake: None, monkeypatch: pytest.MonkeyPatch
):
    """Neither regards the other as one that stays."""
    ids = [here.completed(BASE), here.completed(SMALL)]
    meeting = threading.Barrier(2, timeout=20)
    erase = Orchestrator.erase

    def met(self: Orchestrator, *args) -> None:
        meeting.wait()
        erase(self, *args)

    monkeypatch.setattr(Orchestrator, "erase", met)
    threads = [threading.Thread(target=erasure.erase, args=(id,)) for id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(here.counts().values()) == {0}
    assert list(here.objects.list("audio")) == []


STEPS: list[tuple[object, str, YtcaptionError]] = [
    (ObjectStore, "delete", ObjectStoreUnavailable("away")),
    (Orchestrator, "erase", DagsterUnavailable("away")),
    (TranscriptCatalog, "erase", LakeUnavailable("away")),
    (Erasure, "_delete_rows", LakeUnavailable("killed")),
]


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step[0].__name__}.{step[1]}")
def test_a_failure_promises_nothing_and_can_be_repeated(
    erasure: Erasure,
    here: Here,
    monkeypatch: pytest.MonkeyPatch,
    step: tuple[object, str, YtcaptionError],
):
    """After it every read of its owner reports an erasure; a repetition finishes it."""
    owner, name, error = step
    id = here.completed(in_lake=True, owner="key:anna")

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        with pytest.raises(type(error)):
            erasure.erase(id, "key:anna")
    for asker in (None, "key:anna"):
        with pytest.raises(TranscriptionErased):
            get_transcription(here.store.postgres, id, asker)
    with pytest.raises(TranscriptionNotFound):
        get_transcription(here.store.postgres, id, "key:bert")
    assert transcription_page(here.store.postgres) == []
    assert here.store.due(10) == []
    assert here.rows("segment") == here.rows("request") == 0
    assert erasure.unfinished() == [id]

    assert erasure.erase(id, "key:anna")

    assert erasure.unfinished() == []
    assert set(here.counts().values()) == {0}
    assert [key for key in here.objects.list() if not key.startswith("lake/")] == []
    assert set(row_counts(here.lake, id).values()) == {0}


def test_a_new_request_after_a_failure(
    erasure: Erasure, here: Here, monkeypatch: pytest.MonkeyPatch
):
    """The emptied row is queued: it refers to nothing deleted, and belongs to the requester
    alone."""
    id = here.completed(owner="key:anna")
    monkeypatch.setattr(Orchestrator, "erase", lambda *_: (_ for _ in ()).throw(ClaimLost("x")))
    with pytest.raises(ClaimLost):
        erasure.erase(id)

    again = here.store.submit(MEDIA, BASE, owner="key:bert")

    row = get_transcription(here.store.postgres, id, "key:bert")
    assert (again.queued, row.status, row.document_key) == (True, TranscriptionStatus.QUEUED, None)
    assert get_media(here.store.postgres, MEDIA.media_id).audio is None
    with pytest.raises(TranscriptionErased):
        get_transcription(here.store.postgres, id, "key:anna")
    assert erasure.unfinished() == []


@pytest.mark.long
def test_a_new_request_during_the_erasure(
    erasure: Erasure, here: Here, no_lake: None, monkeypatch: pytest.MonkeyPatch
):
    """It stays queued, and its run waits until nothing new can be deleted with the old."""
    id = here.completed()
    erase = Orchestrator.erase
    began = threading.Event()

    def work() -> None:
        with work_lock(here.store.postgres, id, MEDIA.media_id):
            began.set()

    def meanwhile(self: Orchestrator, *args) -> None:
        here.store.submit(MEDIA, BASE)
        threading.Thread(target=work, daemon=True).start()
        assert not began.wait(0.5)
        erase(self, *args)

    monkeypatch.setattr(Orchestrator, "erase", meanwhile)
    assert erasure.erase(id)

    assert began.wait(5)
    assert get_transcription(here.store.postgres, id).status is TranscriptionStatus.QUEUED
    assert here.rows("request") == 1


@pytest.mark.long
def test_a_running_one_is_erased_by_force_only(erasure: Erasure, here: Here, no_lake: None):
    """Busy without force; with it, later commits of the run are refused."""
    id = here.running()
    with pytest.raises(TranscriptionBusy, match="force"):
        erasure.erase(id)
    assert get_transcription(here.store.postgres, id).status is TranscriptionStatus.RUNNING

    assert erasure.erase(id, force=True)

    transcript = make_transcript(spoken("Too late."), id=id)
    for late in (
        lambda: here.run_store.heartbeat(id, RUN),
        lambda: here.run_store.transcript_stored(id, RUN, transcript, document_key(id), "0" * 64),
        lambda: here.run_store.complete(id, RUN),
    ):
        with pytest.raises(ClaimLost):
            late()
    assert set(here.counts().values()) == {0}


@pytest.mark.long
def test_it_waits_for_a_run_that_is_still_writing(
    erasure: Erasure, here: Here, no_lake: None, monkeypatch: pytest.MonkeyPatch
):
    """Nothing is erased before the run releases its lock; after some time it is busy, and can be
    repeated."""
    id = here.running()
    monkeypatch.setattr(erasure_module, "RUN_STOPS_S", 0.3)
    with work_lock(here.store.postgres, id, MEDIA.media_id):
        with pytest.raises(TranscriptionBusy, match="Try again"):
            erasure.erase(id, force=True)
        assert get_transcription(here.store.postgres, id).status is TranscriptionStatus.CANCELED
        assert here.rows("tombstone") == 0

    monkeypatch.setattr(erasure_module, "RUN_STOPS_S", 20.0)
    done = threading.Event()
    with work_lock(here.store.postgres, id, MEDIA.media_id):
        eraser = threading.Thread(target=lambda: erasure.erase(id) and done.set())
        eraser.start()
        here.objects.write_bytes(document_key(id), b"late")
        time.sleep(0.5)
        assert not done.is_set()
    eraser.join(30)
    assert done.is_set()
    assert not here.objects.exists(document_key(id))


def test_a_queued_one_needs_no_force(erasure: Erasure, here: Here):
    """No run works on a queued transcription yet."""
    assert erasure.erase(here.queued())
    assert set(here.counts().values()) == {0}


@pytest.mark.long
def test_other_owners_keep_it(erasure: Erasure, here: Here, no_lake: None):
    """The first of two owners withdraws; the last one's erasure erases it."""
    id = here.completed(owner="key:anna")
    here.queued(owner="key:bert")

    assert not erasure.erase(id, "key:anna")
    with pytest.raises(TranscriptionErased):
        get_transcription(here.store.postgres, id, "key:anna")
    assert (
        get_transcription(here.store.postgres, id, "key:bert").status
        is TranscriptionStatus.COMPLETED
    )
    assert here.objects.exists(document_key(id))
    assert not erasure.erase(id, "key:anna"), "a repetition changes nothing"
    with pytest.raises(TranscriptionNotFound):
        erasure.erase(id, "key:carl")

    assert erasure.erase(id, "key:bert")
    assert set(here.counts().values()) == {0}


@pytest.fixture
def requested_while_it_waits(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let another owner request it while an erasure waits for the last run to end."""
    lock = erasure_module.exclusive_work_lock

    @contextmanager
    def request_then_lock(postgres: Postgres, name: str, wait_s: float) -> Iterator[None]:
        monkeypatch.setattr(erasure_module, "exclusive_work_lock", lock)
        here.queued(owner="key:bert")
        with lock(postgres, name, wait_s):
            yield

    monkeypatch.setattr(erasure_module, "exclusive_work_lock", request_then_lock)


def test_a_request_of_another_owner_while_it_waits_stays(
    erasure: Erasure, here: Here, requested_while_it_waits: None
):
    """An accepted request is not erased by another owner: only their own is withdrawn."""
    id = here.completed(owner="key:anna")

    assert not erasure.erase(id, "key:anna")

    bert = get_transcription(here.store.postgres, id, "key:bert")
    assert bert.status is TranscriptionStatus.COMPLETED
    assert here.objects.exists(document_key(id))
    assert (here.rows("request"), here.rows("tombstone")) == (1, 0)
    with pytest.raises(TranscriptionErased):
        get_transcription(here.store.postgres, id, "key:anna")


def test_what_an_erasure_canceled_is_queued_for_another_owner(
    erasure: Erasure, here: Here, requested_while_it_waits: None
):
    """The erasure has canceled it; the other owner's request queues it again, and it stays so."""
    id = here.queued(owner="key:anna")

    assert not erasure.erase(id, "key:anna")

    bert = get_transcription(here.store.postgres, id, "key:bert")
    assert bert.status is TranscriptionStatus.QUEUED


def test_an_erasure_for_all_owners_is_repeated_after_a_new_request(
    erasure: Erasure, here: Here, no_lake: None, requested_while_it_waits: None
):
    """Retention and purge must not erase what was requested a moment ago; the next try may."""
    id = here.completed(owner="key:anna")
    with pytest.raises(TranscriptionBusy, match="requested again"):
        erasure.erase(id)
    assert here.rows("request") == 2

    assert erasure.erase(id)
    assert set(here.counts().values()) == {0}


@pytest.mark.long
def test_an_admins_erasure_is_for_all_owners(erasure: Erasure, here: Here, no_lake: None):
    """Without an owner it is erased for all."""
    id = here.completed(owner="key:anna")
    here.queued(owner="key:bert")
    assert erasure.erase(id)
    assert set(here.counts().values()) == {0}


def test_an_unknown_id_is_not_found(erasure: Erasure, here: Here):
    """No tombstone for an id that never existed, nor for another owner's."""
    id = here.queued(owner="key:anna")
    for unknown, owner in ((f"youtube-no.{'a' * 26}", None), (id, "key:bert")):
        with pytest.raises(TranscriptionNotFound):
            erasure.erase(unknown, owner)
    assert here.rows("tombstone") == 0


def test_the_lake_is_not_opened_without_a_transcript(
    erasure: Erasure, here: Here, monkeypatch: pytest.MonkeyPatch
):
    """DuckDB is not loaded if no transcript was ever stored."""
    monkeypatch.setattr(TranscriptCatalog, "erase", lambda *_: pytest.fail("the lake was asked"))
    assert erasure.erase(here.running(), force=True)


@pytest.mark.long
def test_runs_in_dagster_are_ended_and_deleted(erasure: Erasure, here: Here, no_lake: None):
    """One that waits in its queue, and one that does not end by itself."""
    id = here.running()
    instance = dg.DagsterInstance.get()

    @dg.job
    def nothing() -> None:
        """Never executed."""

    run = instance.create_run_for_job(
        nothing, tags={"dagster/partition": id}, status=dg.DagsterRunStatus.STARTED
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resources.orchestration.orchestrator.RUN_ENDS_S", 0.5)
        assert erasure.erase(id, force=True)
    assert instance.get_run_by_id(run.run_id) is None
    assert instance.all_logs(run.run_id) == []
