"""Who does what was asked for while a test waits for it: real runs, or steps as a test says."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from resources.transcriptions.store import RequestStore
from tests.api.conftest import RUN_ID, World
from tests.support.servers.live_api import Hearing
from tests.support.transcripts import SPOKEN, transcript_of


@contextmanager
def worker(store: RequestStore, work: Callable[[str, int], object]) -> Iterator[None]:
    """Does `work(id, attempt)` with whatever is due, on a thread, as the daemon has it done."""
    ended = threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        while not ended.is_set():
            for due in store.due(10):
                try:
                    work(due.id, due.attempt)
                except BaseException as error:
                    failures.append(error)
                    return
            time.sleep(0.02)

    thread = threading.Thread(target=run, name="worker")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert not failures, failures


class Scripted:
    """Runs that hear what a test says.

    Attributes:
        ids: of the transcriptions that were done.
    """

    def __init__(self, world: World, texts: Iterable[str] = SPOKEN, **values: object) -> None:
        self._world, self._texts, self._values = world, tuple(texts), values
        self.ids: list[str] = []

    def complete(self, id: str, _attempt: int) -> None:
        """Hears all of it, the first half as a draft."""
        self.ids.append(id)
        self._world.run_store.claim(id, RUN_ID)
        hearing = Hearing(self._world, id)
        hearing.transcript = transcript_of(id, self._texts, **self._values)
        hearing.draft(0, len(self._texts) // 2)
        hearing.store_text()
        hearing.complete()

    def fail(self, code: str, message: str) -> Callable[[str, int], None]:
        """Ends in this failure."""

        def work(id: str, _attempt: int) -> None:
            store = self._world.run_store
            store.claim(id, RUN_ID)
            store.fail(id, RUN_ID, code, message, retryable=False, max_attempts=4)

        return work
