"""Tables of `benchmarks.lake`: ours and plain Parquet files, by clients and by size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.table import Table

from benchmarks.lake_load import Timing

TimingByClients = dict[int, Timing]
"""By number of clients."""


@dataclass(frozen=True)
class Measurements:
    """Measurements of a library of one size.

    Attributes:
        ours, plain: by query.
        fresh: by query, ours before and after a hundred transcripts' small files are merged.
    """

    ours: dict[str, TimingByClients] = field(default_factory=dict)
    plain: dict[str, TimingByClients] = field(default_factory=dict)
    fresh: dict[str, tuple[Timing, Timing]] = field(default_factory=dict)


def size_table(measured: Measurements, clients: Sequence[int]) -> Table:
    """Return the table of all queries of one library."""
    table = Table("p50 / p95 in ms (CPU ms)")
    for number in clients:
        heading = f"{number} client{'s' if number > 1 else ''}"
        for name in (f"ours, {heading}", "plain Parquet", "ratio"):
            table.add_column(name, justify="right")
    for query, ours in measured.ours.items():
        cells = []
        for number in clients:
            our_timing, plain_timing = ours[number], measured.plain[query][number]
            cells += [_cell(our_timing), _cell(plain_timing), _ratio(our_timing, plain_timing)]
        table.add_row(query, *cells)
    return table


def fresh_table(measured: Measurements, count: int) -> Table:
    """Return the table of the cost of small files, before maintenance merges them."""
    table = Table("p50 / p95 in ms (CPU ms)")
    for name in (f"with {count} more files per table", "after maintenance", "ratio"):
        table.add_column(name, justify="right")
    for query, (before, after) in measured.fresh.items():
        table.add_row(query, _cell(before), _cell(after), _ratio(before, after))
    return table


def growth_table(by_size: Mapping[int, Measurements], clients: int) -> Table:
    """Return the table of medians by size, with the ratio to the size before."""
    sizes = list(by_size)
    table = Table(f"p50 in ms at {clients} client{'s' if clients > 1 else ''}")
    for arm in ("ours", "plain"):
        for size in sizes:
            table.add_column(f"{arm}, {size:,}", justify="right")
    for query in by_size[sizes[0]].ours:
        cells = []
        for arm in ("ours", "plain"):
            previous: Timing | None = None
            for measured in by_size.values():
                timing = getattr(measured, arm)[query][clients]
                factor = f" (x {_ratio(timing, previous)})" if previous else ""
                cells.append("refused" if timing.refused else f"{timing.p50_ms:,.0f}{factor}")
                previous = timing
        table.add_row(query, *cells)
    return table


def _cell(timing: Timing) -> str:
    if timing.refused:
        return "refused"
    return f"{timing.p50_ms:,.0f} / {timing.p95_ms:,.0f} ({timing.cpu_ms:,.0f})"


def _ratio(one: Timing, other: Timing) -> str:
    return f"{one.p50_ms / other.p50_ms:.1f}" if one.p50_ms and other.p50_ms else "-"
