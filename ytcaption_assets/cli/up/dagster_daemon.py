"""Dagster's daemon without its delays: `python -m ... WORKSPACE_YAML`.

It survives steps of the clock, too: see `watch_clock`.

Dagster's own daemon sleeps up to 5 s before a sensor's next tick and 1 to 1.5 s before it checks
the run queue again. Here the end of a tick wakes both loops: the runs it has requested start at
once, and so does the next tick of the sensor that waits for requests.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

import dagster as dg

from resources.orchestration.dagster_internals import (
    DaemonErrorCapture,
    DaemonIterator,
    DagsterDaemon,
    IWorkspaceProcessContext,
    QueuedRunCoordinatorDaemon,
    SensorDaemon,
    SpanMarker,
    WorkspaceFileTarget,
    capture_interrupts,
    create_daemon_of_type,
    daemon_controller_from_instance,
    execute_sensor_iteration_loop,
    get_instance_for_cli,
    setup_interrupt_handlers,
)
from resources.orchestration.ticks import reset_ticks
from resources.processes.clock_step import StepDetector

logger = logging.getLogger("dagster.daemon")

CLOCK_S = 1.0
"""Seconds between two looks at the clock."""

IDLE_S = 1.0
"""Longest sleep of a loop that is not woken: runs are also requested on Dagster's page."""


class WakeUp:
    """Wakes the daemon's loops when there is new work."""

    def __init__(self) -> None:
        self._sleeps: list[Sleep] = []

    def sleep(self, shutdown: threading.Event) -> "Sleep":
        """Return the sleep for another loop."""
        self._sleeps.append(Sleep(shutdown))
        return self._sleeps[-1]

    def wake(self, *_: object) -> None:
        """Wake every loop, or skip the next sleep of a loop that is awake."""
        for sleep in self._sleeps:
            sleep.set()


class Sleep(threading.Event):
    """Replaces the daemon's shutdown event, on which Dagster's loops sleep."""

    def __init__(self, shutdown: threading.Event) -> None:
        super().__init__()
        self._shutdown = shutdown

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until woken, for at most IDLE_S, and return whether the daemon should end."""
        super().wait(IDLE_S if timeout is None else min(timeout, IDLE_S))
        self.clear()
        return self._shutdown.is_set()


class WakingExecutor:
    """Runs ticks in another executor's threads and wakes the loops at the end of each."""

    def __init__(self, executor: ThreadPoolExecutor, wake_up: WakeUp) -> None:
        self._executor = executor
        self._wake_up = wake_up

    def submit(self, *work: Any) -> Future[Any]:
        """Submit work to the other executor."""
        future = self._executor.submit(*work)
        future.add_done_callback(self._wake_up.wake)
        return future


class PromptSensorDaemon(SensorDaemon):
    """Evaluates a sensor again as soon as its tick has ended and its interval has passed."""

    def __init__(self, instance: dg.DagsterInstance, wake_up: WakeUp) -> None:
        super().__init__(settings=instance.get_sensor_settings())
        self._wake_up = wake_up

    def core_loop(
        self, workspace_process_context: IWorkspaceProcessContext, shutdown_event: threading.Event
    ) -> DaemonIterator:
        """Run Dagster's loop with a shorter sleep."""
        assert self._threadpool_executor is not None, "our dagster.yaml sets use_threads"
        executor = WakingExecutor(self._threadpool_executor, self._wake_up)
        yield from execute_sensor_iteration_loop(
            workspace_process_context,
            self._logger,
            self._wake_up.sleep(shutdown_event),
            threadpool_executor=cast(ThreadPoolExecutor, executor),
            submit_threadpool_executor=self._submit_threadpool_executor,
            instrument_elapsed=self.instrument_elapsed,
        )


class PromptQueueDaemon(QueuedRunCoordinatorDaemon):
    """Checks the run queue when a tick has ended, and every second."""

    def __init__(self, wake_up: WakeUp) -> None:
        super().__init__(interval_seconds=IDLE_S)
        self._wake_up = wake_up

    def core_loop(
        self, workspace_process_context: IWorkspaceProcessContext, shutdown_event: threading.Event
    ) -> DaemonIterator:
        """Run Dagster's loop with a shorter sleep."""
        sleep = self._wake_up.sleep(shutdown_event)
        while True:
            yield SpanMarker.START_SPAN
            try:
                yield from self.run_iteration(workspace_process_context)
            except Exception:
                yield DaemonErrorCapture.process_exception(
                    exc_info=sys.exc_info(),
                    logger=self._logger,
                    log_message="The run queue could not be processed",
                )
            yield SpanMarker.END_SPAN
            sleep.wait()
            yield None


def prompt_daemons(instance: dg.DagsterInstance) -> Iterator[DagsterDaemon]:
    """Yield Dagster's daemons; the sensor and run queue daemons have shorter sleeps."""
    wake_up = WakeUp()
    for kind in instance.get_required_daemon_types():
        if kind == SensorDaemon.daemon_type():
            yield PromptSensorDaemon(instance, wake_up)
        elif kind == QueuedRunCoordinatorDaemon.daemon_type():
            yield PromptQueueDaemon(wake_up)
        else:
            yield create_daemon_of_type(kind, instance)


def watch_clock() -> None:
    """Restart the daemon when the clock has been set back. Does not return.

    Dagster notes in memory until when it waits, in about ten places. The new image of the process
    has the same number, and resets what is noted in the database.
    """
    detector = StepDetector()
    while True:
        time.sleep(CLOCK_S)
        step_s = detector.step_s()
        if step_s < 0:
            logger.warning("the clock was set back by %.0f s: the daemon restarts", -step_s)
            os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - this very command
        if step_s > 0:
            logger.warning("the clock was put forward by %.0f s, or the machine slept", step_s)


def main(workspace: str) -> None:
    """Do what `dagster-daemon run` does, until SIGTERM or SIGINT."""
    setup_interrupt_handlers()
    threading.Thread(target=watch_clock, name="clock", daemon=True).start()
    with (
        capture_interrupts(),
        get_instance_for_cli() as instance,
        _reset(instance),
        daemon_controller_from_instance(
            instance,
            workspace_load_target=WorkspaceFileTarget([workspace]),
            gen_daemons=prompt_daemons,
            # At `info` it logs every tick of every sensor, about ten lines every five seconds.
            log_level="warning",
            code_server_log_level="warning",
        ) as controller,
    ):
        controller.check_daemon_loop()


@contextmanager
def _reset(instance: dg.DagsterInstance) -> Iterator[None]:
    reset_ticks(instance)  # before the daemon reads them
    yield


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit(0)
