"""The process of a run on this machine: its name in the run's tags, whether it lives, its end."""

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
"""Run tag `<process number>-<start>` of a run that was forked; Dagster's pages hide the prefix."""

FRESH_PROCESS_TAG = ".dagster/fresh_process"
"""The same of a run in a fresh interpreter, which tells it itself: `<host>/<number>-<start>`."""

_GRPC_TAG = ".dagster/grpc_info"


@dataclass(frozen=True)
class RunProcess:
    """A process, for good: its number may be used again, number and start together are not.

    Attributes:
        pid: process number.
        start_ticks: its start, in clock ticks since the machine's (Linux).
    """

    pid: int
    start_ticks: int

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """The process that has this number now; None where there is none, or it has ended."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        # The second field is the program's name in parentheses, and may hold anything.
        fields = stat.rpartition(")")[2].split()
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    @classmethod
    def of_run(cls, tags: Mapping[str, str]) -> Self | None:
        """What a run's tags name; None where the run was not forked."""
        pid, _, start_ticks = tags.get(RUN_PROCESS_TAG, "").partition("-")
        return cls(int(pid), int(start_ticks)) if pid else None

    @classmethod
    def here(cls, tags: Mapping[str, str]) -> Self | None:
        """The process of a run, forked or not, where it is one of this machine."""
        host, _, named = tags.get(FRESH_PROCESS_TAG, "").partition("/")
        if named and host == socket.gethostname():
            return cls.of_run({RUN_PROCESS_TAG: named})
        return cls.of_run(tags)

    @property
    def lives(self) -> bool:
        """Whether that very process still runs."""
        return RunProcess.of(self.pid) == self

    def interrupt(self) -> bool:
        """Send SIGINT, which Dagster ends a run by; whether there was a process to send it to."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            # The handle is on whoever has the number now: looked at once it can change no more.
            if not self.lives:
                return False
            signal.pidfd_send_signal(handle, signal.SIGINT)
        except OSError:
            return False
        finally:
            os.close(handle)
        return True

    def kill(self) -> None:
        """End it and all that it has started, whatever it is stuck in; no-op where it has ended."""
        if not self.lives:
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
    """Whether a launcher has started the run, Dagster's or ours."""
    return bool({_GRPC_TAG, RUN_PROCESS_TAG} & tags.keys())


def name_process(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Have a run in a fresh interpreter say that it is this process, for those who may have to kill
    it; a forked one's launcher has."""
    process = RunProcess.of(os.getpid())
    was_forked = bool(run.tags.get(RUN_PROCESS_TAG))  # empty: the fork has not begun
    if _GRPC_TAG in run.tags and not was_forked and process is not None:
        named = f"{socket.gethostname()}/{process}"
        instance.add_run_tags(run.run_id, {FRESH_PROCESS_TAG: named})
