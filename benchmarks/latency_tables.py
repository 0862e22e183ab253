"""The results of `benchmarks.latency` as tables."""

import statistics
from collections import defaultdict
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

STAGES = (
    ("POST until the run is in the queue", "PIPELINE_ENQUEUED"),
    ("in the queue", "PIPELINE_STARTING"),
    ("launch, until the run has a process", "ENGINE_EVENT"),
    ("start of the run", "PIPELINE_START"),
    ("start of the first asset", "STEP_START"),
    ("start of the transcription", "transcribing"),
)
"""Stages of a request, each with the event that ends it."""


@dataclass
class LauncherResults:
    """What was measured with one run launcher.

    Attributes:
        latencies_s: from POST until transcription starts, one per request.
        stages_s: duration of each stage, one per request.
        cpu_s: CPU of Dagster per request, by process and stage.
        idle_cpu_share: CPU of Dagster while there are no requests, as a share of one core.
        event_counts: number of events that Dagster wrote, one per run.
    """

    latencies_s: list[float] = field(default_factory=list)
    stages_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu_s: dict[str, float] = field(default_factory=dict)
    idle_cpu_share: float = 0.0
    event_counts: list[int] = field(default_factory=list)


def print_tables(console: Console, results: dict[str, LauncherResults]) -> None:
    """Print latency by stage, CPU by process, and the idle CPU of Dagster."""
    names = list(results)
    table = Table("milliseconds, median / p95", *names)
    for stage, _ in STAGES:
        table.add_row(stage, *(_ms(results[name].stages_s[stage]) for name in names))
    table.add_row("POST to transcribing", *(_ms(results[name].latencies_s) for name in names))
    console.print(table)
    costs = Table("CPU milliseconds per request", *names)
    rows: list[str] = list(dict.fromkeys(row for name in names for row in results[name].cpu_s))
    rows.remove("Postgres")
    for row in rows:
        costs.add_row(row, *(_cell(results[name].cpu_s.get(row)) for name in names))
    sums = {
        name: sum(results[name].cpu_s[row] for row in results[name].cpu_s if row in rows)
        for name in names
    }
    costs.add_row("Dagster, total", *(_cell(sums[name]) for name in names))
    costs.add_row(
        "Postgres, with our own statements",
        *(_cell(results[name].cpu_s["Postgres"]) for name in names),
    )
    console.print(costs)
    for name in names:
        console.print(
            f"{name}: {len(results[name].latencies_s)} requests, "
            f"{statistics.median(results[name].event_counts):.0f} events of Dagster per run; idle: "
            f"{results[name].idle_cpu_share:.1%} of a core"
        )


def _cell(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.0f}"


def _ms(values: list[float]) -> str:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"{statistics.median(values) * 1000:.0f} / {p95 * 1000:.0f}"
