"""Tables of `benchmarks.lake`: ours beside plain Parquet files, by clients and by size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.table import Table

from benchmarks.lake_load import Took

Tooks = dict[int, Took]
"""By number of clients."""


@dataclass(frozen=True)
class Measured:
    """A library of one size.

    Attributes:
        ours, plain: by question.
        fresh: by question, ours with a hundred transcripts' small files, then without.
    """

    ours: dict[str, Tooks] = field(default_factory=dict)
    plain: dict[str, Tooks] = field(default_factory=dict)
    fresh: dict[str, tuple[Took, Took]] = field(default_factory=dict)


def size_table(measured: Measured, clients: Sequence[int]) -> Table:
    """Every question of one library."""
    table = Table("p50 / p95 in ms (CPU ms)")
    for number in clients:
        several = f"{number} client{'s' if number > 1 else ''}"
        for name in (f"ours, {several}", "plain Parquet", "ratio"):
            table.add_column(name, justify="right")
    for question, ours in measured.ours.items():
        cells = []
        for number in clients:
            mine, plain = ours[number], measured.plain[question][number]
            cells += [_cell(mine), _cell(plain), _ratio(mine, plain)]
        table.add_row(question, *cells)
    return table


def fresh_table(measured: Measured, count: int) -> Table:
    """What small files cost, before maintenance merges them."""
    table = Table("p50 / p95 in ms (CPU ms)")
    for name in (f"with {count} files a table more", "after maintenance", "ratio"):
        table.add_column(name, justify="right")
    for question, (before, after) in measured.fresh.items():
        table.add_row(question, _cell(before), _cell(after), _ratio(before, after))
    return table


def growth_table(by_size: Mapping[int, Measured], clients: int) -> Table:
    """The median of each question by size, and how many times the one of the size before."""
    sizes = list(by_size)
    table = Table(f"p50 in ms at {clients} client{'s' if clients > 1 else ''}")
    for arm in ("ours", "plain"):
        for size in sizes:
            table.add_column(f"{arm}, {size:,}", justify="right")
    for question in by_size[sizes[0]].ours:
        cells = []
        for arm in ("ours", "plain"):
            before: Took | None = None
            for measured in by_size.values():
                took = getattr(measured, arm)[question][clients]
                factor = f" (x {_ratio(took, before)})" if before else ""
                cells.append("refused" if took.refused else f"{took.p50_ms:,.0f}{factor}")
                before = took
        table.add_row(question, *cells)
    return table


def _cell(took: Took) -> str:
    if took.refused:
        return "refused"
    return f"{took.p50_ms:,.0f} / {took.p95_ms:,.0f} ({took.cpu_ms:,.0f})"


def _ratio(one: Took, other: Took) -> str:
    return f"{one.p50_ms / other.p50_ms:.1f}" if one.p50_ms and other.p50_ms else "-"
