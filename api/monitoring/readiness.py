"""Readiness: all dependencies are checked in parallel, within a time limit."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, TimeoutError
from dataclasses import dataclass

import anyio
import anyio.to_thread

CHECK_TIMEOUT_S = 2.0

_MAX_WAITING = 8
"""Requests that wait for checks at the same time. All share the same running probes."""


@dataclass(frozen=True)
class Check:
    """The state of one dependency; `reason` says why it is not ready."""

    ready: bool
    took_s: float
    reason: str | None = None


class Readiness:
    """Runs one probe per dependency, each on a thread; a hanging probe is not started again."""

    def __init__(self, probes: Mapping[str, Callable[[], str | None]]) -> None:
        """Take `{dependency: probe}`; a probe returns why it is not ready, or None."""
        self._probes = dict(probes)
        self._running: dict[str, Future[Check]] = {}
        self._lock = threading.Lock()
        self._limiter = anyio.CapacityLimiter(_MAX_WAITING)

    async def checked(self) -> dict[str, Check]:
        """Return `check()`, on threads that callers' requests do not use."""
        return await anyio.to_thread.run_sync(self.check, limiter=self._limiter)

    def check(self) -> dict[str, Check]:
        """Return the state of each dependency, within `CHECK_TIMEOUT_S` in total."""
        deadline = time.monotonic() + CHECK_TIMEOUT_S
        futures = {part: self._started(part) for part in self._probes}
        return {part: self._result(future, deadline) for part, future in futures.items()}

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
            reason = self._probes[part]()
        except Exception as error:  # whatever it is, the dependency is not ready
            reason = f"it failed with {type(error).__name__}"
        took_s = round(time.perf_counter() - started_at, 4)
        future.set_result(Check(reason is None, took_s, reason))

    @staticmethod
    def _result(future: Future[Check], deadline: float) -> Check:
        try:
            return future.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            return Check(False, CHECK_TIMEOUT_S, f"no answer within {CHECK_TIMEOUT_S:g} s")
