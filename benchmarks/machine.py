"""The machine on which a number was measured."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

PACKAGES = ("ytcaption", "dagster", "faster-whisper", "ctranslate2", "onnxruntime", "duckdb")


def machine() -> dict[str, str]:
    """Return processor, memory, load and versions, by name."""
    load = os.getloadavg()[0]
    return {
        "measured": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{processor()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{psutil.virtual_memory().total / 1024**3:.0f} GiB",
        "load before": f"{load:.1f}, niceness {os.nice(0)}",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def processor() -> str:
    """Return the processor's name and its widest vector instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    named = {key.strip(): value.strip() for key, value in pairs}
    vectors = {"avx512f": "AVX-512", "avx2": "AVX2"}
    flags = named.get("flags", "").split()
    widest = next((name for flag, name in vectors.items() if flag in flags), None)
    model = named.get("model name", platform.machine())
    return f"{model} ({widest})" if widest else model
