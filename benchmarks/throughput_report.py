"""The results of `benchmarks.throughput` as tables, JSON and a plot."""

import json
import os
import statistics
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.part_cpu import DAGSTER

NAME = "throughput"

_PAGE = Path(__file__).with_name("throughput.md.txt")


@dataclass(frozen=True)
class Load:
    """What was measured of requests with one arrival pattern.

    Attributes:
        requests: their number.
        wall_s: from the first POST to the last completion.
        latencies_s: from POST to completion, one per request.
        completed_after_s: time of each completion since the first POST, ascending.
        cpu_s: by part.
        wer: word error rate.
    """

    requests: int
    failed: int
    audio_s: float
    wall_s: float
    latencies_s: list[float]
    completed_after_s: list[float]
    cpu_s: dict[str, float]
    wer: float

    @classmethod
    def sum_of(cls, loads: Sequence["Load"]) -> "Load":
        """Return the sum of loads that ran one after the other."""
        cpu_s: Counter[str] = Counter()
        for load in loads:
            cpu_s.update(load.cpu_s)
        return cls(
            requests=sum(load.requests for load in loads),
            failed=sum(load.failed for load in loads),
            audio_s=sum(load.audio_s for load in loads),
            wall_s=sum(load.wall_s for load in loads),
            latencies_s=[each for load in loads for each in load.latencies_s],
            completed_after_s=[],
            cpu_s=dict(cpu_s),
            wer=statistics.mean(load.wer for load in loads),
        )

    @property
    def dagster_s(self) -> float:
        """Return the CPU seconds of Dagster."""
        return sum(self.cpu_s.get(part, 0.0) for part in DAGSTER)

    def latency_quantile_s(self, q: float) -> float:
        """Return the quantile `q` (0 to 1) of the latencies; 0 without any."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, round(q * len(ordered)))] if ordered else 0.0


@dataclass(frozen=True)
class Baseline:
    """What was measured of the loop over faster-whisper."""

    wall_s: float
    cpu_s: float
    wer: float


@dataclass(frozen=True)
class Results:
    """The results of one run of the benchmark.

    Attributes:
        loads: by arrival pattern, all at once first.
        idle_cpu_share: CPU by part while idle, as a share of one core.
    """

    machine: dict[str, str]
    command: str
    model: str
    engine: str
    loads: dict[str, Load]
    idle_cpu_share: dict[str, float]
    baseline: Baseline

    @property
    def at_once(self) -> tuple[str, Load]:
        """Return the name and the load of the requests that arrived all at once."""
        return next(iter(self.loads.items()))


Rows = list[list[str]]
"""The rows of a table; the first is its heading."""


def print_results(console: Console, results: Results) -> None:
    """Print the machine, the command and the tables."""
    for name, value in results.machine.items():
        console.print(f"{name}: {value}")
    console.print(f"{results.command}\nmodel {results.model}, engine {results.engine}")
    for heading, *rows in (_speed(results), _loads(results), _parts(results)):
        table = Table(*heading)
        for row in rows:
            table.add_row(*row)
        console.print(table)


def write_results(folder: Path, results: Results) -> None:
    """Write `throughput.md`, `.json`, `.svg` and `.png`."""
    path = folder / f"{NAME}.json"
    path.write_text(json.dumps(asdict(results), indent=1) + "\n", encoding="utf-8")
    _plot(folder, results)
    _, batch = results.at_once
    text = _PAGE.read_text(encoding="utf-8").format(
        command=results.command,
        model=results.model,
        engine=results.engine,
        machine="\n".join(_item(f"{name}: {text}") for name, text in results.machine.items()),
        minutes=f"{batch.audio_s / 60:.0f}",
        speed=_markdown(_speed(results)),
        loads=_markdown(_loads(results)),
        parts=_markdown(_parts(results)),
    )
    (folder / f"{NAME}.md").write_text(text, encoding="utf-8")


def _item(text: str) -> str:
    return textwrap.fill(
        text, 100, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
    )


def _speed(results: Results) -> Rows:
    """Return the throughput of all at once and of the loop on the same files."""
    name, batch = results.at_once
    baseline = results.baseline
    arms = (
        (f"ytcaption, {name}", batch.wall_s, sum(batch.cpu_s.values()), batch.wer),
        ("a loop over faster-whisper", baseline.wall_s, baseline.cpu_s, baseline.wer),
    )
    rows = [["", "wall s", "requests / hour", "RTFx", "CPU s / request", "WER"]]
    for arm, wall_s, cpu_s, wer in arms:
        rows.append(
            [
                arm,
                f"{wall_s:.1f}",
                f"{batch.requests / wall_s * 3600:.0f}",
                f"{batch.audio_s / wall_s:.1f}",
                f"{cpu_s / batch.requests:.2f}",
                f"{wer:.2%}",
            ]
        )
    return rows


def _loads(results: Results) -> Rows:
    """Return completions, latency and CPU utilization of each load."""
    rows = [["", "completed", "latency p50", "p95", "CPU cores", "Dagster's share of the CPU"]]
    for name, load in results.loads.items():
        all_s = sum(load.cpu_s.values())
        rows.append(
            [
                name,
                f"{load.requests - load.failed} of {load.requests}",
                f"{load.latency_quantile_s(0.5):.1f} s",
                f"{load.latency_quantile_s(0.95):.1f} s",
                f"{all_s / load.wall_s:.2f} of {os.cpu_count()}",
                f"{load.dagster_s / all_s:.0%}",
            ]
        )
    return rows


def _parts(results: Results) -> Rows:
    """Return CPU milliseconds per request by part, and the share of a core while idle."""
    _, batch = results.at_once
    rows = [["CPU, ms / request", *results.loads, "idle, share of a core"]]
    for part in sorted(batch.cpu_s, key=lambda part: -batch.cpu_s[part]):
        per_request_s = [
            load.cpu_s.get(part, 0.0) / load.requests for load in results.loads.values()
        ]
        idle = f"{results.idle_cpu_share.get(part, 0.0):.1%}"
        rows.append([part, *(f"{seconds * 1000:.0f}" for seconds in per_request_s), idle])
    dagster = [f"{load.dagster_s / load.requests * 1000:.0f}" for load in results.loads.values()]
    idle = sum(results.idle_cpu_share.get(part, 0.0) for part in DAGSTER)
    return [*rows, ["Dagster, total", *dagster, f"{idle:.1%}"]]


def _markdown(rows: Rows) -> str:
    heading, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([heading, f"|{' --- |' * len(rows[0])}", *body])


def _plot(folder: Path, results: Results) -> None:
    """Plot completions over time beside the loop, and CPU per request by part."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams["svg.hashsalt"] = NAME  # the same picture is the same file
    name, batch = results.at_once
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(3, 2))
    count = range(1, len(batch.completed_after_s) + 1)
    left.step(batch.completed_after_s, count, where="post", label=f"ytcaption, {name}")
    baseline = results.baseline
    left.plot([0, baseline.wall_s], [0, batch.requests], "--", label="loop over faster-whisper")
    left.set(xlabel="seconds after the first POST", ylabel="completed", xlim=0, ylim=0)
    left.set_title(
        f"{batch.requests} recordings, {batch.audio_s / 60:.0f} minutes, {results.model}"
    )
    left.legend(frameon=False)
    parts = sorted(batch.cpu_s, key=lambda part: batch.cpu_s[part])
    per_request_s = [batch.cpu_s[part] / batch.requests for part in parts]
    colours = ["tab:orange" if part in DAGSTER else "tab:blue" for part in parts]
    right.bar_label(right.barh(parts, per_request_s, color=colours), fmt=" %.2f")
    right.axvline(baseline.cpu_s / batch.requests, color="grey", linestyle="--")
    right.set(xlabel="CPU seconds / request", title="Dagster in orange; dashed: the whole loop")
    right.margins(x=0.15)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(folder / f"{NAME}.svg", metadata={"Date": None})
    figure.savefig(folder / f"{NAME}.png", dpi=120)
