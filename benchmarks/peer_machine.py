"""The conditions of a result: machine, threads, command, date."""

import datetime
import os
import platform

from benchmarks.machine import processor
from benchmarks.peer_engines.recording import BEAM_SIZE, THREADS


def about_this_run(command: str) -> dict:
    """Return the conditions as JSON values."""
    return {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": {
            "cpu": processor(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "nice": os.nice(0),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
        },
        "threads": THREADS,
        "beam_size": BEAM_SIZE,
        "versions": {},
    }
