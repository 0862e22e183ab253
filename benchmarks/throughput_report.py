"""What benchmarks.throughput has measured: tables, JSON, a plot."""

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
    """Transcriptions that were asked for in one way.

    Attributes:
        took_s: from the first POST to the last completed.
        latency_s: from POST to completed, one each.
        ended_after_s: when each was completed, after the first POST.
        cpu_s: by part.
        error_rate: words wrong, of those that were said.
    """

    asked: int
    failed: int
    audio_s: float
    took_s: float
    latency_s: list[float]
    ended_after_s: list[float]
    cpu_s: dict[str, float]
    error_rate: float

    @classmethod
    def sum_of(cls, loads: Sequence["Load"]) -> "Load":
        """Of those that came one after the other."""
        cpu_s: Counter[str] = Counter()
        for load in loads:
            cpu_s.update(load.cpu_s)
        return cls(
            asked=sum(load.asked for load in loads),
            failed=sum(load.failed for load in loads),
            audio_s=sum(load.audio_s for load in loads),
            took_s=sum(load.took_s for load in loads),
            latency_s=[each for load in loads for each in load.latency_s],
            ended_after_s=[],
            cpu_s=dict(cpu_s),
            error_rate=statistics.mean(load.error_rate for load in loads),
        )

    @property
    def dagster_s(self) -> float:
        """CPU of Dagster."""
        return sum(self.cpu_s.get(part, 0.0) for part in DAGSTER)

    def latency_at_s(self, share: float) -> float:
        """The latency that this share of them does not exceed."""
        ordered = sorted(self.latency_s)
        return ordered[min(len(ordered) - 1, round(share * len(ordered)))] if ordered else 0.0


@dataclass(frozen=True)
class Bare:
    """The loop."""

    took_s: float
    cpu_s: float
    error_rate: float


@dataclass(frozen=True)
class Results:
    """Of one run of the benchmark.

    Attributes:
        rest_share: CPU by part at rest, of one core.
    """

    machine: dict[str, str]
    command: str
    model: str
    engine: str
    loads: dict[str, Load]
    rest_share: dict[str, float]
    bare: Bare

    @property
    def at_once(self) -> tuple[str, Load]:
        """The first of all."""
        return next(iter(self.loads.items()))


Rows = list[list[str]]
"""Of a table; the first one is its heading."""


def print_results(console: Console, results: Results) -> None:
    """Machine, command and tables."""
    for name, said in results.machine.items():
        console.print(f"{name}: {said}")
    console.print(f"{results.command}\nmodel {results.model}, engine {results.engine}")
    for heading, *rows in (_speed(results), _loads(results), _parts(results)):
        table = Table(*heading)
        for row in rows:
            table.add_row(*row)
        console.print(table)


def write_results(folder: Path, results: Results) -> None:
    """`throughput.md`, `.json`, `.svg` and `.png`."""
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
    """All at once, and the bare loop on the same files."""
    name, batch = results.at_once
    bare = results.bare
    arms = (
        (f"ytcaption, {name}", batch.took_s, sum(batch.cpu_s.values()), batch.error_rate),
        ("a loop over faster-whisper", bare.took_s, bare.cpu_s, bare.error_rate),
    )
    rows = [["", "seconds", "jobs an hour", "hours of audio an hour", "CPU s a job", "WER"]]
    for arm, took_s, cpu_s, error_rate in arms:
        rows.append(
            [
                arm,
                f"{took_s:.1f}",
                f"{batch.asked / took_s * 3600:.0f}",
                f"{batch.audio_s / took_s:.1f}",
                f"{cpu_s / batch.asked:.2f}",
                f"{error_rate:.2%}",
            ]
        )
    return rows


def _loads(results: Results) -> Rows:
    rows = [["", "completed", "p50", "p95", "cores busy", "Dagster's share of the CPU"]]
    for name, load in results.loads.items():
        all_s = sum(load.cpu_s.values())
        rows.append(
            [
                name,
                f"{load.asked - load.failed} of {load.asked}",
                f"{load.latency_at_s(0.5):.1f} s",
                f"{load.latency_at_s(0.95):.1f} s",
                f"{all_s / load.took_s:.2f} of {os.cpu_count()}",
                f"{load.dagster_s / all_s:.0%}",
            ]
        )
    return rows


def _parts(results: Results) -> Rows:
    """CPU milliseconds a transcription, and of a core while nothing is asked for."""
    _, batch = results.at_once
    rows = [["CPU, ms a job", *results.loads, "at rest, of a core"]]
    for part in sorted(batch.cpu_s, key=lambda part: -batch.cpu_s[part]):
        taken = [load.cpu_s.get(part, 0.0) / load.asked for load in results.loads.values()]
        rest = f"{results.rest_share.get(part, 0.0):.1%}"
        rows.append([part, *(f"{seconds * 1000:.0f}" for seconds in taken), rest])
    dagster = [f"{load.dagster_s / load.asked * 1000:.0f}" for load in results.loads.values()]
    rest = sum(results.rest_share.get(part, 0.0) for part in DAGSTER)
    return [*rows, ["Dagster, all", *dagster, f"{rest:.1%}"]]


def _markdown(rows: Rows) -> str:
    heading, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([heading, f"|{' --- |' * len(rows[0])}", *body])


def _plot(folder: Path, results: Results) -> None:
    """Completed transcriptions by time beside the bare loop; CPU a transcription by part."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams["svg.hashsalt"] = NAME  # the same picture is the same file
    name, batch = results.at_once
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(3, 2))
    count = range(1, len(batch.ended_after_s) + 1)
    left.step(batch.ended_after_s, count, where="post", label=f"ytcaption, {name}")
    left.plot([0, results.bare.took_s], [0, batch.asked], "--", label="loop over faster-whisper")
    left.set(xlabel="seconds after the first POST", ylabel="completed", xlim=0, ylim=0)
    left.set_title(f"{batch.asked} recordings, {batch.audio_s / 60:.0f} minutes, {results.model}")
    left.legend(frameon=False)
    parts = sorted(batch.cpu_s, key=lambda part: batch.cpu_s[part])
    taken = [batch.cpu_s[part] / batch.asked for part in parts]
    colours = ["tab:orange" if part in DAGSTER else "tab:blue" for part in parts]
    right.bar_label(right.barh(parts, taken, color=colours), fmt=" %.2f")
    right.axvline(results.bare.cpu_s / batch.asked, color="grey", linestyle="--")
    right.set(xlabel="CPU seconds a recording", title="Dagster's in orange; dashed: the loop, all")
    right.margins(x=0.15)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(folder / f"{NAME}.svg", metadata={"Date": None})
    figure.savefig(folder / f"{NAME}.png", dpi=120)
