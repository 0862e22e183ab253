"""An upload during an erasure of the same bytes: after a 202 the file exists."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from fastapi.testclient import TestClient

from resources.maintenance import erasure as erasure_module
from resources.maintenance.erasure import Erasure
from resources.object_store.store import ObjectStore, upload_key
from resources.orchestration.orchestrator import Orchestrator
from resources.postgres.connection import Postgres
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.store import RequestStore
from tests.api.conftest import dagster_home  # noqa: F401 - a fixture
from tests.api.uploads.bodies import JFK, UPLOADS, media_of
from tests.support.patience import wait_for
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.settings.settings import Settings


@pytest.fixture
def erasure(settings: Settings, dagster_home: object) -> Iterator[Erasure]:
    """Yield an erasure with the rights of the API."""
    orchestrator = Orchestrator()
    yield Erasure(settings, Postgres.from_settings(settings, "api"), orchestrator)
    orchestrator.close()


@pytest.fixture
def canceled(client: TestClient, request_store: RequestStore) -> str:
    """Return an upload that no run works on."""
    id = client.post(UPLOADS, content=JFK).json()["id"]
    request_store.cancel(id)
    return id


@pytest.mark.long
def test_an_upload_in_the_middle_of_an_erasure_keeps_its_file(
    client: TestClient,
    canceled: str,
    erasure: Erasure,
    object_store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After it was determined that nobody uses the media, and before its file is deleted."""
    exclusive_work_lock = erasure_module.exclusive_work_lock
    answers: list[httpx.Response] = []

    @contextmanager
    def upload_then_lock(postgres: Postgres, name: str, wait_s: float) -> Iterator[None]:
        if name == media_of(canceled):
            answers.append(client.post(UPLOADS, content=JFK))
        with exclusive_work_lock(postgres, name, wait_s):
            yield

    monkeypatch.setattr(erasure_module, "exclusive_work_lock", upload_then_lock)
    erasure.erase(canceled)

    assert answers[0].status_code == 202
    assert answers[0].json()["id"] == canceled
    assert object_store.read_bytes(upload_key(media_of(canceled))) == JFK
    assert client.get(answers[0].json()["status_url"]).json()["status"] == "queued"


@pytest.mark.long
def test_an_upload_waits_while_its_file_is_deleted(
    client: TestClient,
    canceled: str,
    erasure: Erasure,
    object_store: ObjectStore,
    request_store: RequestStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It does not count as stored because of a file that is about to be deleted."""
    delete = Erasure._delete_audio
    waiting = "select count(*) as n from pg_locks where locktype = 'advisory' and not granted"
    sent: list[Future[httpx.Response]] = []

    def slowly(self: Erasure, media_id: str) -> None:
        sent.append(threads.submit(client.post, UPLOADS, content=JFK))
        wait_for(lambda: request_store.postgres.rows(waiting, {})[0]["n"] == 1)
        delete(self, media_id)

    monkeypatch.setattr(Erasure, "_delete_audio", slowly)
    with ThreadPoolExecutor() as threads:
        erasure.erase(canceled)

    assert sent[0].result().status_code == 202
    id = sent[0].result().json()["id"]
    assert get_transcription(request_store.postgres, id).status is TranscriptionStatus.QUEUED
    assert object_store.read_bytes(upload_key(media_of(id))) == JFK
