"""Comparing the lake with Postgres: differences are found, and random work causes none."""

import threading
from functools import partial
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from resources.lake import reconcile
from resources.lake.catalog import TranscriptCatalog
from resources.lake.connection import LakeConnection
from resources.lake.documents import stored_document
from resources.lake.reconcile import Agreement
from resources.maintenance.erasure import Erasure
from resources.object_store.store import ObjectStore
from resources.orchestration.orchestrator import Orchestrator
from resources.postgres.connection import Postgres
from resources.postgres.urls import database_urls
from resources.transcriptions.reads import completed_ids, transcript_timings
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.support.lake_documents import make_document
from tests.support.lake_rows import transcript_ids
from tests.support.lake_truth import complete
from ytcaption.domain.errors import LakeUnavailable
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings


class Library:
    """An installation with its lake."""

    def __init__(self, settings: Settings, store: RequestStore, instance: dg.DagsterInstance):
        self.settings, self.store = settings, store
        self.objects = ObjectStore.from_settings(settings)
        self.catalog = TranscriptCatalog.from_settings(settings)
        api = Postgres.from_settings(settings, "api")
        self.erasure = Erasure(settings, api, Orchestrator(instance))

    def add(self, name: str, **values: object) -> str:
        """Request, transcribe and complete a transcription, or redo it."""
        return complete(self.store, self.objects, self.catalog, name, **values)

    def repair(self) -> None:
        """As `ytcaption lake verify --repair`."""
        document = partial(stored_document, self.store.postgres, self.objects)
        self.catalog.verify(partial(completed_ids, self.store.postgres), document, repair=True)

    def change(self, statement: str) -> None:
        """Change the database directly."""
        with psycopg.connect(database_urls(self.settings).admin) as connection:
            connection.execute(statement)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def library(settings: Settings, request_store: RequestStore) -> Library:
    """Return an empty library; Dagster stores nothing."""
    return Library(settings, request_store, dg.DagsterInstance.ephemeral())


@pytest.mark.slow
def test_completed_runs_agree(library: Library):
    """Texts of any script, silence and several versions agree; words and segments are counted."""
    library.add("first", text="naïve 時間 \U0001f600")
    library.add("silent", words=0)
    library.add("versions", model="base")
    library.add("versions", model="tiny", text="other")
    result = library.catalog.agreement()
    assert result == Agreement(4, 9, 90, (), (), (), ())


@pytest.mark.slow
def test_each_kind_of_difference_is_found(library: Library):
    """Missing and extra transcriptions, other counts and other texts are reported."""
    ids = {name: library.add(name) for name in ("missing", "counted", "worded", "timed", "right")}
    library.catalog.delete(ids["missing"])
    unknown = make_document("unknown")
    library.catalog.append(*unknown)
    library.catalog.append(*make_document("counted", words=20))
    library.change(
        "update ytcaption.segment set text = text || '.' "
        f"where transcription_id = '{ids['worded']}' and index = 1"
    )
    library.change(
        "update ytcaption.segment set end_s = end_s + 0.002 "
        f"where transcription_id = '{ids['timed']}' and index = 2"
    )
    result = library.catalog.agreement()
    assert result.missing == (ids["missing"],)
    assert result.extra == (unknown[0].id,)
    assert result.count_mismatches == (ids["counted"],)
    assert set(result.text_mismatches) == {ids["worded"], ids["timed"]}
    assert result.compared == 6


@pytest.mark.long
def test_run_about_to_complete_is_no_difference(library: Library):
    """Its rows are in the lake first."""
    document = make_document("soon")
    row = library.store.submit(document[1], TranscriptionOptions("base")).transcription
    RunStore(postgres=library.store.postgres).claim(row.id, "run")
    library.catalog.append(*document)
    assert library.catalog.agreement().differing == []


@pytest.mark.slow
def test_lake_has_the_timings_of_the_latest_run(library: Library):
    """A transcription that is redone has the new times from its events; a resumed run has no
    processing time. Verifying computes the same."""

    def rows() -> list[tuple]:
        return library.catalog.query(
            "select queued_at, queued_at <= started_at, processing_s from transcripts"
        ).rows

    library.add("first", processing_s=4.5)
    [(first_at, in_order, processing_s)] = rows()
    assert (in_order, processing_s) == (True, 4.5)
    id = library.add("first", processing_s=None)
    [(second_at, in_order, processing_s)] = rows()
    assert (in_order, processing_s) == (True, None)
    assert second_at > first_at
    library.repair()
    assert rows() == [(second_at, True, None)]
    assert transcript_timings(library.store.postgres, id).queued_at == second_at
    assert transcript_timings(library.store.postgres, "nothing").queued_at is None


@pytest.mark.slow
def test_erasure_during_a_comparison_is_no_error(library: Library, monkeypatch: pytest.MonkeyPatch):
    """A file that is removed while the lake is read makes the comparison start over, locked."""
    library.add("kept")
    id = library.add("erased")
    read = reconcile._from_lake
    is_first = True

    def read_a_removed_file(lake: LakeConnection, ids: list[str] | None):
        nonlocal is_first
        if is_first:
            is_first = False
            library.erasure.erase(id, force=True)
            raise LakeUnavailable("A file is missing.")
        yield from read(lake, ids)

    monkeypatch.setattr(reconcile, "_from_lake", read_a_removed_file)
    result = library.catalog.agreement()
    assert (result.compared, result.differing) == (1, [])


NAMES = st.sampled_from([f"media{number}" for number in range(5)])


class LakeMachine(RuleBasedStateMachine):
    """Random work on a lake, with readers that always see whole transcriptions."""

    ids = Bundle("ids")

    def __init__(self, library: Library):
        super().__init__()
        self.library = library
        self.stopping = threading.Event()
        self.wrong: list[str] = []
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    @rule(
        target=ids,
        name=NAMES,
        model=st.sampled_from(["base", "tiny"]),
        words=st.sampled_from([0, 10, 25]),
        text=st.sampled_from(["hello", "お", "=1+1"]),
        month=st.integers(1, 3),
    )
    def add(self, name: str, model: str, words: int, text: str, month: int) -> str:
        """Add a transcription or replace it."""
        created_at = f"2026-0{month}-01T00:00:00+00:00"
        return self.library.add(name, model=model, words=words, text=text, created_at=created_at)

    @rule(id=consumes(ids))
    def erase(self, id: str) -> None:
        """Erase for all owners."""
        self.library.erasure.erase(id, force=True)

    @rule()
    def maintain(self) -> None:
        """Compact as each night."""
        self.library.catalog.compact()

    @rule(id=ids)
    def lose(self, id: str) -> None:
        """Remove one from the lake, then repair."""
        self.library.catalog.delete(id)
        self.library.repair()

    @invariant()
    def agrees(self) -> None:
        """Check that Postgres and the lake agree and no reader saw a partial transcription."""
        assert self.library.catalog.agreement().differing == []
        assert self.wrong == []

    def teardown(self) -> None:
        """Check that no file unknown to the catalog is left; the next machine starts empty."""
        self.stopping.set()
        self.reader.join()
        for id in list(transcript_ids(self.library.catalog)):
            self.library.erasure.erase(id, force=True)
        assert self.library.catalog.agreement() == Agreement(0, 0, 0, (), (), (), ())
        folder = Path(self.library.objects.folder or "") / "lake"
        assert list(folder.rglob("*.parquet")) == []

    def _read(self) -> None:
        """Look for partial transcriptions by ordinary queries."""
        partial_rows = (
            "select t.transcription_id from transcripts t left join words w "
            "using (transcription_id) "
            "group by all having any_value(t.word_count) <> count(w.word_index) union all "
            "select media_id from transcripts anti join media using (media_id)"
        )
        while not self.stopping.is_set():
            try:
                self.wrong += [row[0] for row in self.library.catalog.query(partial_rows).rows]
            except Exception as error:
                self.wrong.append(repr(error))


def run_machine(library: Library, examples: int, steps: int) -> None:
    """Run random sequences of steps."""
    run_state_machine_as_test(
        partial(LakeMachine, library),
        settings=hypothesis_settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.slow
def test_lake_and_postgres_agree_after_random_work(library: Library):
    """Adds, re-transcriptions, erasures, maintenance and repairs run while readers query."""
    run_machine(library, examples=1, steps=8)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_lake_and_postgres_agree_after_much_random_work(library: Library):
    """A longer run of the random test above also ends in agreement."""
    run_machine(library, examples=25, steps=30)
