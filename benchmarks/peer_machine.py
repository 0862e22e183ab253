"""What a result must name to mean anything: machine, threads, command, day."""

import datetime
import os
import platform
from pathlib import Path

from benchmarks.peer_engines.recording import BEAM_SIZE, THREADS


def about_this_run(command: str) -> dict:
    """JSON values."""
    return {
        "command": command,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": {
            "cpu": _cpu(),
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


def _cpu() -> str:
    """Its name, and the widest vectors it has."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {key.strip(): value.strip() for key, value in facts.items()}
    vectors = {"avx512f": "AVX-512", "avx2": "AVX2"}
    flags = named.get("flags", "").split()
    widest = next((name for flag, name in vectors.items() if flag in flags), None)
    model = named.get("model name", platform.machine())
    return f"{model} ({widest})" if widest else model
