"""The process of a run: its identity in the run's tags, whether it is alive, how to end it."""

import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import dagster as dg
import psutil

RUN_PROCESS_TAG = ".dagster/run_process"
"""Run tag `<process number>-<start>` of a forked run; Dagster's UI hides tags with this prefix."""

FRESH_PROCESS_TAG = ".dagster/fresh_process"
"""Run tag `<host>/<number>-<start>` of a run in its own interpreter, which sets it itself."""

_GRPC_TAG = ".dagster/grpc_info"


@dataclass(frozen=True)
class RunProcess:
    """A process, identified permanently: its number may be reused, number and start together not.

    Attributes:
        pid: process number.
        start_ticks: start time, in clock ticks since boot (Linux).
    """

    pid: int
    start_ticks: int

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """Return the process that has this number now; None if there is none, or it has ended."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        # The second field is the program's name in parentheses, and may hold anything.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    @classmethod
    def of_run(cls, tags: Mapping[str, str]) -> Self | None:
        """Return the process named in a run's tags; None if the run was not forked."""
        pid, _, start_ticks = tags.get(RUN_PROCESS_TAG, "").partition("-")
        return cls(int(pid), int(start_ticks)) if pid else None

    @classmethod
    def on_this_host(cls, tags: Mapping[str, str]) -> Self | None:
        """Return the process of a run, forked or not, if it is on this machine."""
        host, _, named = tags.get(FRESH_PROCESS_TAG, "").partition("/")
        if named and host == socket.gethostname():
            return cls.of_run({RUN_PROCESS_TAG: named})
        return cls.of_run(tags)

    @property
    def is_alive(self) -> bool:
        """Whether this process still runs."""
        return RunProcess.of(self.pid) == self

    def interrupt(self) -> bool:
        """Send SIGINT, by which Dagster ends a run; return whether the process was running."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            # The handle refers to the process that has the number now, so one check is enough.
            if not self.is_alive:
                return False
            signal.pidfd_send_signal(handle, signal.SIGINT)
        except OSError:
            return False
        finally:
            os.close(handle)
        return True

    def kill(self) -> None:
        """Kill the process and all its descendants; do nothing if it has ended."""
        if not self.is_alive:
            return
        with suppress(psutil.Error):
            leader = psutil.Process(self.pid)
            family = [leader, *leader.children(recursive=True)]
            for process in family:
                with suppress(psutil.Error):
                    process.kill()

    def __str__(self) -> str:
        return f"{self.pid}-{self.start_ticks}"


def has_own_process(tags: Mapping[str, str]) -> bool:
    """Return whether a launcher has started the run, Dagster's or ours."""
    return bool({_GRPC_TAG, RUN_PROCESS_TAG} & tags.keys())


def tag_run_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Record in the tags of a run in its own interpreter that this is its process.

    It is read when the run has to be killed. For a forked run the launcher records it.
    """
    process = RunProcess.of(os.getpid())
    was_forked = bool(run.tags.get(RUN_PROCESS_TAG))  # empty: not forked yet
    if _GRPC_TAG in run.tags and not was_forked and process is not None:
        named = f"{socket.gethostname()}/{process}"
        instance.add_run_tags(run.run_id, {FRESH_PROCESS_TAG: named})
