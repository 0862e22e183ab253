"""`ytcaption replay`: rebuild transcriptions from their events."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ytcaption_assets.cli.database import opened_database

if TYPE_CHECKING:
    from resources.transcriptions.replay import ReplayReport

_SHOWN = 50


def replay(
    check: Annotated[
        bool, typer.Option("--check", help="Only print differences from the stored rows.")
    ] = False,
) -> None:
    """Rebuild each transcription's row from its events and print it as one line of JSON.

    Safe while the pipeline runs: everything is read in one snapshot. Exit status of --check: 0 rows
    and events agree, 1 they do not.
    """
    from resources.transcriptions.replay import check_replay
    from resources.transcriptions.replay import replay as replayed

    with opened_database() as (_, postgres):
        if not check:
            for each in replayed(postgres):
                values = None if each.row is None else asdict(each.row)
                sys.stdout.write(json.dumps({"id": each.id, "row": values}, default=str) + "\n")
            return
        report = check_replay(postgres, _SHOWN)
    _print(report)
    raise typer.Exit(1 if report.difference_count else 0)


def _print(report: "ReplayReport") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    counts = f"{report.event_count:,} events of {report.transcription_count:,} transcriptions"
    if not report.difference_count:
        console.print(f"{counts}: every row agrees with them.")
        return
    table = Table("id", "column", "in the row", "from the events")
    for each in report.differences:
        values = (escape(str(each.row_says)), escape(str(each.events_say)))
        table.add_row(each.id, each.column, *values)
    console.print(table)
    hidden = report.difference_count - len(report.differences)
    more = f", {hidden:,} of them not shown" if hidden else ""
    console.print(f"{counts}: {report.difference_count:,} differences{more}.")
