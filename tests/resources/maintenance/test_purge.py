"""Erasing many: what matches, what is spared, and what a failure leaves."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from resources.maintenance.erasure import Erasure
from resources.maintenance.purge import PurgeFilter, purge
from resources.object_store.store import ObjectStore
from resources.orchestration.orchestrator import Orchestrator
from resources.postgres.connection import Postgres
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.api.conftest import dagster_home  # noqa: F401 - a fixture
from ytcaption.domain.errors import DagsterUnavailable, InvalidOption, TranscriptionErased
from ytcaption.domain.media.media import MediaSource
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings

OLD = PurgeFilter(older_than_days=30)


@pytest.fixture
def api(settings: Settings) -> Postgres:
    """With the rights of the API, which purges."""
    return Postgres.from_settings(settings, "api")


@pytest.fixture
def erasure(settings: Settings, api: Postgres, dagster_home: object) -> Iterator[Erasure]:
    """On Dagster's real storage."""
    orchestrator = Orchestrator()
    yield Erasure(settings, api, orchestrator)
    orchestrator.close()


def ask(store: RequestStore, name: str) -> str:
    source = MediaSource(f"youtube-{name}", "site", f"https://youtu.be/{name}", "Youtube", name)
    return store.submit(source, TranscriptionOptions(model="base")).transcription.id


def fail(store: RequestStore, name: str, days: float = 0) -> str:
    """A transcription that was last requested, and failed, some days ago."""
    id = ask(store, name)
    RunStore(postgres=store.postgres).claim(id, f"run-{name}")
    RunStore(postgres=store.postgres).fail(
        id, f"run-{name}", "media_private", "It is private.", False, 4
    )
    with store.postgres.transaction() as connection:
        for column, table, key in (
            ("updated_at", "transcription", "id"),
            ("created_at", "request", "transcription_id"),
        ):
            connection.execute(
                f"update ytcaption.{table} set {column} = now() - %s where {key} = %s",
                (timedelta(days=days), id),
            )
    return id


def is_erased(store: RequestStore, id: str) -> bool:
    try:
        get_transcription(store.postgres, id)
    except TranscriptionErased:
        return True
    return False


def test_a_dry_run_erases_nothing(api, erasure, request_store: RequestStore):
    """It lists the oldest first."""
    older, old = fail(request_store, "older", 90), fail(request_store, "old", 40)
    fail(request_store, "new", 1)
    purged = purge(api, erasure, OLD, "local", dry_run=True)
    assert (purged.number, purged.ids, purged.erased) == (2, (older, old), 0)
    assert not is_erased(request_store, old)


@pytest.mark.long
def test_only_matching_ones_are_erased(
    api, erasure, request_store: RequestStore, run_store: RunStore, object_store: ObjectStore
):
    """Not new, queued or running ones, nor ones that were requested again since."""
    gone = [fail(request_store, "older", 90), fail(request_store, "old", 40)]
    spared = [fail(request_store, "new", 1), ask(request_store, "queued")]
    spared.append(fail(request_store, "wanted", 90))
    with request_store.postgres.transaction() as connection:
        connection.execute(
            "update ytcaption.request set created_at = now() where transcription_id = %s",
            (spared[-1],),
        )
    running = ask(request_store, "running")
    run_store.claim(running, "run-running")
    spared.append(running)
    purged = purge(api, erasure, OLD, "local", dry_run=False)
    assert (purged.number, purged.erased) == (2, 2)
    assert all(is_erased(request_store, id) for id in gone)
    assert not any(is_erased(request_store, id) for id in spared)
    again = purge(api, erasure, OLD, "local", dry_run=False)
    assert (again.number, again.erased) == (0, 0)


def test_a_status_is_enough(api, erasure, request_store: RequestStore):
    """Transcriptions of the status are erased, however new they are."""
    failed, canceled = fail(request_store, "failed"), ask(request_store, "canceled")
    request_store.cancel(canceled)
    purged = purge(api, erasure, PurgeFilter(status="canceled"), "local", dry_run=False)
    assert (purged.ids, purged.erased) == ((canceled,), 1)
    assert not is_erased(request_store, failed)


def test_without_any_condition_nothing_is_erased(api, erasure):
    """Otherwise a forgotten option would erase everything."""
    with pytest.raises(InvalidOption, match="age, a status or both"):
        purge(api, erasure, PurgeFilter(), "local", dry_run=False)


@pytest.mark.long
def test_time_is_limited_and_repeating_continues(api, erasure, request_store: RequestStore):
    """An answer over HTTP must not take minutes."""
    for name in ("one", "two"):
        fail(request_store, name, 90)
    assert purge(api, erasure, OLD, "local", dry_run=False, within_s=-1.0).erased == 0
    first = purge(api, erasure, OLD, "local", dry_run=False, within_s=0.0)
    assert first.number == 2 and first.erased <= 1
    assert purge(api, erasure, OLD, "local", dry_run=False).number == 2 - first.erased


@pytest.mark.long
def test_an_interrupted_erasure_is_finished(
    api, erasure, request_store: RequestStore, monkeypatch: pytest.MonkeyPatch
):
    """Dagster was unavailable in the middle: the next purge finishes it, whatever its filter."""
    id = fail(request_store, "old", 90)
    with monkeypatch.context() as away:

        def refuse(*_: object) -> None:
            raise DagsterUnavailable("Away.")

        away.setattr(Orchestrator, "erase", refuse)
        with pytest.raises(DagsterUnavailable):
            purge(api, erasure, OLD, "local", dry_run=False)
    assert erasure.unfinished() == [id]
    purged = purge(api, erasure, PurgeFilter(status="canceled"), "local", dry_run=False)
    assert (purged.number, purged.erased) == (0, 0)
    assert erasure.unfinished() == []
