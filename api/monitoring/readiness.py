"""Which of the parts the API stands on answer, asked all at once and never for long."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, TimeoutError
from dataclasses import dataclass

CHECK_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Check:
    """One part's answer. `cause` says in words why it is not ready."""

    ready: bool
    took_ms: float
    cause: str | None = None


class Readiness:
    """Runs one probe a part, each on a thread; a probe that hangs is not started a second time."""

    def __init__(self, probes: Mapping[str, Callable[[], str | None]]) -> None:
        """Takes `{part: probe}`; a probe gives the cause in words, or None when all is well."""
        self._probes = dict(probes)
        self._running: dict[str, Future[Check]] = {}
        self._lock = threading.Lock()

    def check(self) -> dict[str, Check]:
        """Each part's answer within `CHECK_TIMEOUT_S`, all together."""
        deadline = time.monotonic() + CHECK_TIMEOUT_S
        futures = {part: self._started(part) for part in self._probes}
        return {part: self._answer(future, deadline) for part, future in futures.items()}

    def _started(self, part: str) -> Future[Check]:
        with self._lock:
            running = self._running.get(part)
            if running is None or running.done():
                running = self._running[part] = Future()
                threading.Thread(
                    target=self._run, args=(part, running), name=f"readiness-{part}", daemon=True
                ).start()
            return running

    def _run(self, part: str, future: Future[Check]) -> None:
        started_at = time.perf_counter()
        try:
            cause = self._probes[part]()
        except Exception as error:  # whatever it is, the part is not ready
            cause = f"it failed with {type(error).__name__}"
        took_ms = round((time.perf_counter() - started_at) * 1000, 1)
        future.set_result(Check(cause is None, took_ms, cause))

    @staticmethod
    def _answer(future: Future[Check], deadline: float) -> Check:
        try:
            return future.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            return Check(False, CHECK_TIMEOUT_S * 1000, f"no answer within {CHECK_TIMEOUT_S:g} s")
