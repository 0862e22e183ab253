"""Runs one engine on one set of recordings in one process, to measure its time, memory and CPU.

    python -m benchmarks.peer_process JOB.json RESULT.json

It imports only the engine and numpy, so that it runs without the product installed.
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

from benchmarks.peer_engines.recording import Recording, Transcribe, Weights

WARM_UP_SAMPLES = 5 * 16_000


@dataclass(frozen=True)
class Job:
    """The input of a process.

    Attributes:
        engine: `module:function` in `benchmarks.peer_engines`.
        packages: whose versions are in the result.
    """

    engine: str
    packages: tuple[str, ...]
    weights: Weights
    recordings: tuple[Recording, ...]

    def to_json(self) -> str:
        """Return JSON, with paths as text."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """Parse the JSON of `to_json`."""
        values = json.loads(text)
        weights = values["weights"]
        return cls(
            values["engine"],
            tuple(values["packages"]),
            Weights(weights["name"], Path(weights["directory"]), Path(weights["converted"])),
            tuple(Recording(Path(each["file"]), each["language"]) for each in values["recordings"]),
        )


@dataclass(frozen=True)
class Result:
    """The output of a process.

    Attributes:
        load_s: imports and weights, until the first recording can be transcribed.
        wall_s: of all recordings, without the warm-up.
        cpu_s: of this process meanwhile.
        others_cpu_s: of all other processes of the machine meanwhile.
        peak_bytes: peak resident memory.
        texts: one per recording.
    """

    load_s: float
    wall_s: float
    cpu_s: float
    others_cpu_s: float
    peak_bytes: int
    texts: list[str]
    versions: dict[str, str]


def measured(job: Job) -> Result:
    """Do the job and return its measurements."""
    began = time.perf_counter()
    module, function = job.engine.split(":")
    load = getattr(importlib.import_module(f"benchmarks.peer_engines.{module}"), function)
    transcribe: Transcribe = load(job.weights)
    load_s = time.perf_counter() - began
    transcribe([_warm_up(job)])
    busy, wall, cpu = _machine_cpu_s(), time.perf_counter(), time.process_time()
    texts = transcribe(list(job.recordings))
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
    """Return VmHWM; `ru_maxrss` starts with the value of the parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def _machine_cpu_s() -> float:
    """Return the busy seconds of all cores since boot."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().split()[1:9]]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    job_file, result_file = (Path(each) for each in sys.argv[1:])
    result_file.write_text(json.dumps(asdict(measured(Job.from_json(job_file.read_text())))))
