"""CPU time of each part of an installation during a block, and Dagster's share of the runs."""

import time
from typing import Self

import psutil

from benchmarks.run_cpu import ChildCurves, below_s, cpu_s, postgres_s, with_children_s
from benchmarks.run_events import asset_bodies, run_pid
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import dagster_instance
from ytcaption_assets.cli.up.state import read_state

SAMPLE_S = 0.05

DAGSTER = ("daemon", "code server", "run server", "runs: Dagster")
RUNS, ASSETS = "runs", "runs: assets"
_NAMES = {"code": "code server", "runs": "run server", "children": "downloaders, decoders"}


class PartCpu:
    """Measures during its block."""

    def __init__(self, settings: Settings) -> None:
        """Prepare to measure the `ytcaption up` of these settings' home."""
        self._settings = settings
        state = read_state(settings.home)
        assert state is not None
        self._pids = {each.name: each.pid for each in state.processes} | {"up": state.up.pid}
        self._curves = ChildCurves([self._pids["runs"]], SAMPLE_S, with_children_s)
        self._inside_s = 0.0

    def __enter__(self) -> Self:
        self._before, self._began = self._cpu_s(), time.time()
        self._curves.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._curves.__exit__(*exception)
        self.wall_s = time.time() - self._began
        after = self._cpu_s()
        self._spent_s = {name: after[name] - self._before[name] for name in after}

    def read_runs(self, run_ids: list[str]) -> None:
        """Read the assets' share of the runs' CPU, with downloads and decoding, from their logs."""
        with dagster_instance(self._settings) as instance:
            for run_id in run_ids:
                records = list(instance.all_logs(run_id))
                pid = next((pid for each in records if (pid := run_pid(each)) is not None), 0)
                if curve := self._curves.curves.get(pid):
                    self._inside_s += sum(curve.between_s(*body) for body in asset_bodies(records))

    def parts_s(self) -> dict[str, float]:
        """Return the seconds by part."""
        parts = dict(self._spent_s)
        runs_s = parts.pop(RUNS)
        inside_s = min(self._inside_s, runs_s)
        return parts | {"runs: Dagster": runs_s - inside_s, ASSETS: inside_s}

    def _cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds of each part since it started."""
        total_s = {"Postgres": postgres_s(self._settings.home)}
        for name, pid in self._pids.items():
            part = "worker" if name.startswith("worker-") else _NAMES.get(name, name)
            below = 0.0 if name == "up" else _below_s(pid)
            total_s[part] = total_s.get(part, 0.0) + cpu_s(pid)
            if name == "runs":
                total_s[RUNS] = below
            else:
                total_s[part] += below
        return total_s


def _below_s(pid: int) -> float:
    try:
        return below_s(pid)
    except psutil.Error:
        return 0.0
