"""The process of a run on this machine: its name in the run's tags, whether it lives, its end."""

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

RUN_PROCESS_TAG = ".dagster/run_process"
"""Run tag `<process number>-<start>` of a run that was forked; Dagster's pages hide the prefix."""


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

    def __str__(self) -> str:
        return f"{self.pid}-{self.start_ticks}"
