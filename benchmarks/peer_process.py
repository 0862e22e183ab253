"""One engine, one set of recordings, one process: so load time, memory and CPU time are its own.

    python -m benchmarks.peer_process JOB.json RESULT.json

It imports what the engine needs and numpy, so it runs where the product is not installed, too.
"""

import importlib
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.peer_engines.recording import Hear, Recording, Weights

WARM_UP_SAMPLES = 5 * 16_000


@dataclass(frozen=True)
class Job:
    """What a process is told.

    Attributes:
        engine: `module:function` in `benchmarks.peer_engines`.
        packages: whose versions the result names.
    """

    engine: str
    packages: tuple[str, ...]
    weights: Weights
    recordings: tuple[Recording, ...]

    def to_json(self) -> str:
        """Paths as text."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """The other way."""
        found = json.loads(text)
        weights = found["weights"]
        return cls(
            found["engine"],
            tuple(found["packages"]),
            Weights(weights["name"], Path(weights["directory"]), Path(weights["converted"])),
            tuple(Recording(Path(each["file"]), each["language"]) for each in found["recordings"]),
        )


@dataclass(frozen=True)
class Result:
    """What a process tells.

    Attributes:
        load_s: imports and weights, until the first recording could be heard.
        wall_s: of all recordings, without the warm-up.
        cpu_s: of this process meanwhile.
        others_cpu_s: of all other processes of the machine meanwhile.
        peak_bytes: the most memory that was resident at once.
        texts: of each recording.
    """

    load_s: float
    wall_s: float
    cpu_s: float
    others_cpu_s: float
    peak_bytes: int
    texts: list[str]
    versions: dict[str, str]


def measured(job: Job) -> Result:
    """The job, done."""
    began = time.perf_counter()
    module, function = job.engine.split(":")
    load = getattr(importlib.import_module(f"benchmarks.peer_engines.{module}"), function)
    hear: Hear = load(job.weights)
    load_s = time.perf_counter() - began
    hear([_warm_up(job)])
    busy, wall, cpu = _machine_cpu_s(), time.perf_counter(), time.process_time()
    texts = hear(list(job.recordings))
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    others_cpu_s = max(0.0, _machine_cpu_s() - busy - cpu_s)
    versions = {each: version(each) for each in job.packages}
    return Result(load_s, wall_s, cpu_s, others_cpu_s, _peak_bytes(), texts, versions)


def _warm_up(job: Job) -> Recording:
    first = job.recordings[0]
    file = first.file.with_name("warm_up.f32")
    np.fromfile(first.file, np.float32, WARM_UP_SAMPLES).tofile(file)
    return Recording(file, first.language)


def _peak_bytes() -> int:
    """VmHWM; `ru_maxrss` begins with that of the parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def _machine_cpu_s() -> float:
    """Seconds of all cores that were not idle, since the machine started."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().split()[1:9]]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    asked, told = (Path(each) for each in sys.argv[1:])
    told.write_text(json.dumps(asdict(measured(Job.from_json(asked.read_text())))))
