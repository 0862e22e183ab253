"""Long work leaves the threads free that all other routes share, and callers share its threads."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import anyio.to_thread
import httpx
import pytest
from fastapi.testclient import TestClient

from api.long_work import WorkThreads
from tests.api.conftest import World
from tests.support.patience import patience, wait_for
from ytcaption.domain.caller import Caller
from ytcaption.domain.errors import TranscriptionBusy

V1 = "/api/v1"
CHANNEL = "https://www.youtube.com/@jfklibrary"


class Blocker:
    """Stands for work that takes long: it waits until the test ends."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self._release = threading.Event()

    def block(self, name: str, *_: object, **__: object) -> None:
        """Wait, then fail with an error that every route can answer."""
        self.started.append(name)
        assert self._release.wait(60), "the test has ended long ago"
        raise TranscriptionBusy("The test ends.")

    def release(self) -> None:
        """Let all work end."""
        self._release.set()


@pytest.fixture
def blocker() -> Iterator[Blocker]:
    """Yield a blocker that blocks nothing any more when the test ends."""
    blocker = Blocker()
    yield blocker
    blocker.release()


@pytest.mark.long
def test_long_work_leaves_the_shared_threads_free(
    client: TestClient, world: World, blocker: Blocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind of it at once, with a single shared thread: other requests are answered."""
    id = world.completed()
    media_id = id.partition(".")[0]
    works = {
        "api.transcriptions.result.render": ("GET", f"{V1}/transcriptions/{id}/result", None),
        "api.versions.routes.media_versions": (
            "GET",
            f"{V1}/media/{media_id}/versions/latest",
            None,
        ),
        "api.channels.service.dry_run": ("POST", f"{V1}/channels/dry-run", {"url": CHANNEL}),
        "api.transcriptions.actions.Erasure.erase": ("DELETE", f"{V1}/transcriptions/{id}", None),
        "api.transcriptions.actions.purge": ("POST", f"{V1}/admin/purge", {"older_than_days": 1}),
        "api.versions.routes.enqueue_retranscriptions": (
            "POST",
            f"{V1}/retranscriptions",
            {"where": "model = 'base'", "language": "en", "dry_run": True},
        ),
        "api.admin.routes.retry_all": ("POST", f"{V1}/admin/retry", {"code": "source_blocked"}),
        "resources.search.service.Search.page": ("GET", f"{V1}/search?q=ask", None),
    }
    for name in works:
        monkeypatch.setattr(name, partial(blocker.block, name))
    assert client.portal is not None
    client.portal.call(_leave_one_shared_thread)
    answers: list[Future[httpx.Response]] = []
    with ThreadPoolExecutor(16) as threads:
        for method, path, body in works.values():
            answers.append(threads.submit(client.request, method, path, json=body))
        try:
            wait_for(lambda: set(blocker.started) == set(works), 10, lambda: blocker.started)
            for path in ("/healthz", "/readyz", f"{V1}/transcriptions"):
                answer = threads.submit(client.get, path).result(10 * patience())
                assert answer.status_code == 200, path
        finally:
            blocker.release()
    assert {answer.result().status_code for answer in answers} == {409}


async def _leave_one_shared_thread() -> None:
    anyio.to_thread.current_default_thread_limiter().total_tokens = 1


def test_one_caller_does_not_take_all_threads(blocker: Blocker) -> None:
    """What a caller has too much waits, while another caller's work starts."""
    anna, bert = (Caller(owner, frozenset({"read"})) for owner in ("key:anna", "key:bert"))

    async def scene() -> None:
        work = WorkThreads(total=3, per_caller=2)
        tasks = [
            asyncio.create_task(work.run(caller, partial(blocker.block, caller.owner)))
            for caller in (anna, anna, anna, anna, bert)
        ]
        await asyncio.to_thread(wait_for, lambda: len(blocker.started) == 3)
        assert sorted(blocker.started) == [anna.owner, anna.owner, bert.owner]

        blocker.release()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert len(blocker.started) == 5

    asyncio.run(scene())
