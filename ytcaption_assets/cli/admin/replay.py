"""`ytcaption replay`: rebuild transcriptions from their events."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ytcaption_assets.cli.database import opened_database
from ytcaption_assets.cli.terminal_text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from resources.transcriptions.replay import ReplayRepair, ReplayReport

_SHOWN = 50


def replay(
    check: Annotated[
        bool, typer.Option("--check", help="Only print differences from the stored rows.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Set the rows that differ to what their events say.")
    ] = False,
) -> None:
    """Rebuild each transcription's row from its events and print it as one line of JSON.

    Safe while the pipeline runs: everything is read in one snapshot. Exit status of --check and
    --repair: 0 rows and events agree (now), 1 they do not.
    """
    from resources.transcriptions.replay import check_replay, repair_replay
    from resources.transcriptions.replay import replay as replayed

    with opened_database() as (_, postgres):
        if not check and not repair:
            for each in replayed(postgres):
                values = None if each.row is None else asdict(each.row)
                sys.stdout.write(json.dumps({"id": each.id, "row": values}, default=str) + "\n")
            return
        report = check_replay(postgres, _SHOWN)
        repaired = repair_replay(postgres) if repair and report.difference_count else None
    from rich.console import Console

    console = Console(highlight=False)
    _print(report, console)
    if repaired is not None:
        _print_repair(repaired, console)
    wrong = report.difference_count if repaired is None else len(repaired.left)
    raise typer.Exit(1 if wrong else 0)


def _print_repair(repaired: "ReplayRepair", console: "Console") -> None:
    console.print(f"{len(repaired.repaired):,} repaired, {len(repaired.left):,} not.")
    for id, reason in list(repaired.left.items())[:_SHOWN]:
        console.print(f"{id}: {printable(reason)}", markup=False, soft_wrap=True)


def _print(report: "ReplayReport", console: "Console") -> None:
    from rich.markup import escape
    from rich.table import Table

    counts = f"{report.event_count:,} events of {report.transcription_count:,} transcriptions"
    if not report.difference_count:
        console.print(f"{counts}: every row agrees with them.")
        return
    table = Table("id", "column", "in the row", "from the events")
    for each in report.differences:
        values = (escape(printable(each.row_says)), escape(printable(each.events_say)))
        table.add_row(each.id, each.column, *values)
    console.print(table)
    hidden = report.difference_count - len(report.differences)
    more = f", {hidden:,} of them not shown" if hidden else ""
    console.print(f"{counts}: {report.difference_count:,} differences{more}.")
