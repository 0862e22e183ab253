"""Dagster's daemon, at work as soon as there is some: `python -m ... WORKSPACE_YAML`.

Dagster's own sleeps up to 5 s before a sensor's next tick, and 1 to 1.5 s before it looks into the
run queue again. Here the end of a tick wakes both loops: the runs it has asked for start at once,
and the sensor that listens for requests listens again at once.
"""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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

IDLE_S = 1.0
"""How long a loop sleeps that nobody wakes: runs come from Dagster's page, too."""


class Bell:
    """Rung by whoever has made work for the daemon's loops."""

    def __init__(self) -> None:
        self._sleepers: list[Sleep] = []

    def sleep(self, shutdown: threading.Event) -> "Sleep":
        """The sleep of one more loop."""
        self._sleepers.append(Sleep(shutdown))
        return self._sleepers[-1]

    def ring(self, *_: object) -> None:
        """Wakes every loop, or keeps it from falling asleep next."""
        for sleeper in self._sleepers:
            sleeper.set()


class Sleep(threading.Event):
    """Stands in for the daemon's shutdown event, which Dagster's loops sleep on."""

    def __init__(self, shutdown: threading.Event) -> None:
        super().__init__()
        self._shutdown = shutdown

    def wait(self, timeout: float | None = None) -> bool:
        """Whether the daemon ends; after IDLE_S at the latest, or once the bell has been rung."""
        super().wait(IDLE_S if timeout is None else min(timeout, IDLE_S))
        self.clear()
        return self._shutdown.is_set()


class RingingExecutor:
    """Runs ticks in another executor's threads; rings at the end of each."""

    def __init__(self, executor: ThreadPoolExecutor, bell: Bell) -> None:
        self._executor = executor
        self._bell = bell

    def submit(self, *work: Any) -> Future[Any]:
        """As the other executor does."""
        future = self._executor.submit(*work)
        future.add_done_callback(self._bell.ring)
        return future


class PromptSensorDaemon(SensorDaemon):
    """Comes back to a sensor as soon as its tick has ended, once its interval has passed."""

    def __init__(self, instance: dg.DagsterInstance, bell: Bell) -> None:
        super().__init__(settings=instance.get_sensor_settings())
        self._bell = bell

    def core_loop(
        self, workspace_process_context: IWorkspaceProcessContext, shutdown_event: threading.Event
    ) -> DaemonIterator:
        """Dagster's loop with another sleep."""
        assert self._threadpool_executor is not None, "our dagster.yaml says so"
        executor = RingingExecutor(self._threadpool_executor, self._bell)
        yield from execute_sensor_iteration_loop(
            workspace_process_context,
            self._logger,
            self._bell.sleep(shutdown_event),
            threadpool_executor=cast(ThreadPoolExecutor, executor),
            submit_threadpool_executor=self._submit_threadpool_executor,
            instrument_elapsed=self.instrument_elapsed,
        )


class PromptQueueDaemon(QueuedRunCoordinatorDaemon):
    """Looks into the run queue when a tick has ended, and each second."""

    def __init__(self, bell: Bell) -> None:
        super().__init__(interval_seconds=IDLE_S)
        self._bell = bell

    def core_loop(
        self, workspace_process_context: IWorkspaceProcessContext, shutdown_event: threading.Event
    ) -> DaemonIterator:
        """Dagster's loop with another sleep."""
        sleep = self._bell.sleep(shutdown_event)
        while True:
            yield SpanMarker.START_SPAN
            try:
                yield from self.run_iteration(workspace_process_context)
            except Exception:
                yield DaemonErrorCapture.process_exception(
                    exc_info=sys.exc_info(),
                    logger=self._logger,
                    log_message="The run queue could not be worked off",
                )
            yield SpanMarker.END_SPAN
            sleep.wait()
            yield None


def prompt_daemons(instance: dg.DagsterInstance) -> Iterator[DagsterDaemon]:
    """Dagster's daemons, two of them prompt."""
    bell = Bell()
    for kind in instance.get_required_daemon_types():
        if kind == SensorDaemon.daemon_type():
            yield PromptSensorDaemon(instance, bell)
        elif kind == QueuedRunCoordinatorDaemon.daemon_type():
            yield PromptQueueDaemon(bell)
        else:
            yield create_daemon_of_type(kind, instance)


def main(workspace: str) -> None:
    """Until SIGTERM or SIGINT; what `dagster-daemon run` does."""
    setup_interrupt_handlers()
    with (
        capture_interrupts(),
        get_instance_for_cli() as instance,
        daemon_controller_from_instance(
            instance,
            workspace_load_target=WorkspaceFileTarget([workspace]),
            gen_daemons=prompt_daemons,
            # At `info` it tells of every tick of every sensor, some ten lines each five seconds.
            log_level="warning",
            code_server_log_level="warning",
        ) as controller,
    ):
        controller.check_daemon_loop()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit(0)
