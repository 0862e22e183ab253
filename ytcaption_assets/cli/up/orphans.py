"""Finding and ending processes left by an `up` that was killed."""

import os
import time
from pathlib import Path

import psutil

MARK = "YTCAPTION_UP"
"""Environment variable that every descendant of an `up` inherits; its value is the home."""

_POLL_S = 0.1


def orphan_processes(home: Path) -> list[psutil.Process]:
    """Return every other process that descends from an `up` on this home.

    They are found by their environment, which is inherited across sessions, forks and deaths of
    parents, and which no reused process number has. The embedded Postgres does not inherit it: it
    may serve others, too, and has its own rules for stopping.
    """
    orphans = []
    for process in psutil.process_iter():
        try:
            if (
                process.pid != os.getpid()
                and process.status() != psutil.STATUS_ZOMBIE
                and process.environ().get(MARK) == str(home)
            ):
                orphans.append(process)
        except (psutil.Error, OSError):
            continue  # it has ended, or is another user's
    return orphans


def end_orphans(home: Path, patience_s: float = 5.0) -> int:
    """End the orphans, first by SIGTERM, and return their number."""
    orphans = orphan_processes(home)
    _signal(orphans, kill=False)
    give_up_at = time.monotonic() + patience_s
    while (alive := orphan_processes(home)) and time.monotonic() < give_up_at:
        time.sleep(_POLL_S)
    while alive:  # list them again each time: one may have forked meanwhile
        _signal(alive, kill=True)
        time.sleep(_POLL_S)
        alive = orphan_processes(home)
    return len(orphans)


def group_members(leader_pid: int) -> list[psutil.Process]:
    """Return a group's processes without its leader and multiprocessing's resource tracker."""
    members = []
    for process in psutil.process_iter():
        try:
            if (
                process.pid != leader_pid
                and os.getpgid(process.pid) == leader_pid
                and process.status() != psutil.STATUS_ZOMBIE
                and "resource_tracker" not in " ".join(process.cmdline())
            ):
                members.append(process)
        except (psutil.Error, OSError):
            continue  # it has ended
    return members


def _signal(processes: list[psutil.Process], *, kill: bool) -> None:
    for process in processes:
        try:
            process.kill() if kill else process.terminate()
        except psutil.Error:
            continue
