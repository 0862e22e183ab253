"""`ytcaption migrate`: bring the schema up to date, or show what that would lock."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ytcaption_assets.cli.database import settle_restore

if TYPE_CHECKING:
    from rich.console import Console

    from resources.postgres.migration_plan import MigrationPlan, TableChange

_BRIEF_S = 0.5


def migrate(
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Change nothing; show what is pending and what it locks."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --plan: print JSON, for programs.")
    ] = False,
) -> None:
    """Apply pending database migrations; `up` and `transcribe` do so automatically.

    The previous version goes on working while and after they are applied, unless --plan says
    otherwise. With --plan, the pending migrations run on a copy of the schema without its rows, in
    a temporary Postgres.
    """
    from rich.console import Console

    from resources.postgres.embedded import running_postgres
    from resources.postgres.migrate import migrate as bring_up_to_date
    from resources.postgres.migration_plan import plan_migrations
    from resources.postgres.server_check import check_servers
    from ytcaption.settings.settings import load_settings

    settings = load_settings()
    settle_restore(settings)
    with running_postgres(settings):
        check_servers(settings)
        if not plan:
            bring_up_to_date(settings)
            return
        planned = plan_migrations(settings)
    if as_json:
        sys.stdout.write(json.dumps(asdict(planned), indent=2) + "\n")
    else:
        print_plan(planned, Console(highlight=False, soft_wrap=True))


def print_plan(plan: "MigrationPlan", console: "Console") -> None:
    """Print the steps, with what waits for each, and what is not known."""
    from resources.postgres.migrate import LOCK_TIMEOUT_S

    if not plan.steps:
        console.print("The database is up to date.")
        return
    if plan.is_empty:
        console.print(
            f"There is no schema yet. {len(plan.steps)} files create it; nothing is locked."
        )
        return
    for step in plan.steps:
        console.print(step.name, style="bold")
        for change in step.changes:
            console.print(f"  {change.table}: {_sentence(change)}")
        if not step.changes:
            console.print("  locks no table that is there already")
        if step.contracts is not None:
            console.print(
                f"  programs that do not know migration {step.contracts:04} stop working: update "
                "them first"
            )
    console.print()
    console.print(
        "Times assume disks that read 100 MB/s to 1 GB/s and write 20 to 200 MB/s. How many rows a "
        "migration changes is only known when it runs; that time is not included."
    )
    console.print(
        f"A lock is waited for at most {LOCK_TIMEOUT_S} s at a time, so that others can go on."
    )
    if plan.oldest_transaction_s is not None and plan.oldest_transaction_s > LOCK_TIMEOUT_S:
        console.print(
            f"The oldest open transaction is {plan.oldest_transaction_s:,.0f} s old: migrations "
            "may have to wait for its end."
        )


def _sentence(change: "TableChange") -> str:
    rows = "an unknown number of" if change.row_count is None else f"about {change.row_count:,}"
    size = f"{rows} rows, {change.size_bytes / 1e6:,.1f} MB with indexes"
    fast_s, slow_s = change.duration_s
    if slow_s < _BRIEF_S:
        time = "for less than a second"
    else:
        time = f"for about {fast_s:,.1f} to {slow_s:,.0f} s"
    what = f"{change.blocks} wait {time}" if change.blocks else "nothing waits"
    why = []
    if change.is_rewritten:
        why.append("the table is rewritten")
    elif change.reads_all:
        why.append("all rows are read")
    if change.new_indexes:
        why.append(f"indexes are made: {', '.join(change.new_indexes)}")
    if change.changes_rows:
        why.append("rows are changed, at most all of them")
    return "; ".join([f"{what} ({size})", *why])
