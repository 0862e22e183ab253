"""`ytcaption replay`: transcriptions rebuilt from their events."""

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
        bool, typer.Option("--check", help="Compare with the rows, and print differences only.")
    ] = False,
) -> None:
    """Rebuilds every transcription's row from its events, and prints them, a JSON object a line.

    It may be used while the pipeline runs: all is read as of one moment. Exit status of --check: 0
    rows and events say the same, 1 they do not.
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
    told = f"{report.event_count:,} events tell of {report.transcription_count:,} transcriptions"
    if not report.difference_count:
        console.print(f"{told}, and every row is as they say.")
        return
    table = Table("id", "column", "the row says", "the events say")
    for each in report.differences:
        says = (escape(str(each.row_says)), escape(str(each.events_say)))
        table.add_row(each.id, each.column, *says)
    console.print(table)
    left = report.difference_count - len(report.differences)
    more = f", {left:,} of them not shown" if left else ""
    console.print(f"{told}; {report.difference_count:,} differences{more}.")
