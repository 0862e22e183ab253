"""What benchmarks.latency has measured, as tables."""

import statistics
from collections import defaultdict
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

PARTS = (
    ("POST to a run in the queue", "PIPELINE_ENQUEUED"),
    ("waits in the queue", "PIPELINE_STARTING"),
    ("launched: a process", "ENGINE_EVENT"),
    ("run starts", "PIPELINE_START"),
    ("first asset starts", "STEP_START"),
    ("finds the audio; transcribes", "transcribing"),
)


@dataclass
class Measured:
    """Of one launcher.

    Attributes:
        latency_s: from POST to transcribing, one a request.
        parts_s: by part, one a request.
        cpu_s: of Dagster by what it was taken in, a request.
        idle_share: of one core, while nothing is asked for.
        events: that Dagster wrote in a run.
    """

    latency_s: list[float] = field(default_factory=list)
    parts_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu_s: dict[str, float] = field(default_factory=dict)
    idle_share: float = 0.0
    events: list[int] = field(default_factory=list)


def print_tables(console: Console, measured: dict[str, Measured]) -> None:
    """Latency by part, CPU by process, and what Dagster takes at rest."""
    names = list(measured)
    table = Table("milliseconds, median / p95", *names)
    for part in (name for name, _ in PARTS):
        table.add_row(part, *(_ms(measured[name].parts_s[part]) for name in names))
    table.add_row("POST to transcribing", *(_ms(measured[name].latency_s) for name in names))
    console.print(table)
    costs = Table("CPU milliseconds a request", *names)
    rows: list[str] = list(dict.fromkeys(row for name in names for row in measured[name].cpu_s))
    rows.remove("Postgres")
    for row in rows:
        costs.add_row(row, *(_cell(measured[name].cpu_s.get(row)) for name in names))
    sums = {
        name: sum(measured[name].cpu_s[row] for row in measured[name].cpu_s if row in rows)
        for name in names
    }
    costs.add_row("Dagster, all", *(_cell(sums[name]) for name in names))
    costs.add_row(
        "Postgres, ours too", *(_cell(measured[name].cpu_s["Postgres"]) for name in names)
    )
    console.print(costs)
    for name in names:
        console.print(
            f"{name}: {len(measured[name].latency_s)} requests, "
            f"{statistics.median(measured[name].events):.0f} events of Dagster a run; idle: "
            f"{measured[name].idle_share:.1%} of a core"
        )


def _cell(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.0f}"


def _ms(values: list[float]) -> str:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"{statistics.median(values) * 1000:.0f} / {p95 * 1000:.0f}"
