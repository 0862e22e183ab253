"""Processes of an `up` that was killed, and of runs in sessions of their own."""

import os
import time
from pathlib import Path

import psutil

MARK = "YTCAPTION_UP"
"""Variable that every process below an `up` inherits; its value is the home."""

_POLL_S = 0.1


def orphan_processes(home: Path) -> list[psutil.Process]:
    """Every process that descends from an `up` on this home, but for this one.

    The environment is inherited through whatever sessions, forks and deaths of parents lie between,
    and no other process has it, however often process numbers are used again. The embedded Postgres
    does not inherit it: it may serve others, too, and is stopped by its own rules.
    """
    found = []
    for process in psutil.process_iter():
        try:
            if (
                process.pid != os.getpid()
                and process.status() != psutil.STATUS_ZOMBIE
                and process.environ().get(MARK) == str(home)
            ):
                found.append(process)
        except (psutil.Error, OSError):
            continue  # it has ended, or is another user's
    return found


def end_orphans(home: Path, patience_s: float = 5.0) -> int:
    """Ends them, SIGTERM first; gives their number."""
    found = orphan_processes(home)
    _signal(found, kill=False)
    give_up_at = time.monotonic() + patience_s
    while (alive := orphan_processes(home)) and time.monotonic() < give_up_at:
        time.sleep(_POLL_S)
    while alive:  # anew each time: one may have been forking while it was looked at
        _signal(alive, kill=True)
        time.sleep(_POLL_S)
        alive = orphan_processes(home)
    return len(found)


def group_members(leader_pid: int) -> list[psutil.Process]:
    """The processes of a group that do its work: not its leader nor multiprocessing's helper."""
    found = []
    for process in psutil.process_iter():
        try:
            if (
                process.pid != leader_pid
                and os.getpgid(process.pid) == leader_pid
                and process.status() != psutil.STATUS_ZOMBIE
                and "resource_tracker" not in " ".join(process.cmdline())
            ):
                found.append(process)
        except (psutil.Error, OSError):
            continue  # it has ended
    return found


def _signal(processes: list[psutil.Process], *, kill: bool) -> None:
    for process in processes:
        try:
            process.kill() if kill else process.terminate()
        except psutil.Error:
            continue
