"""`ytcaption admin ...`: what operators do, on the database."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ytcaption_assets.cli.admin import circuit_breaker as breaker
from ytcaption_assets.cli.admin import deliveries, keys
from ytcaption_assets.cli.database import opened_database

if TYPE_CHECKING:
    from rich.console import Console

    from resources.admin.service import Affected, Overview
    from resources.postgres.connection import Postgres
    from ytcaption.settings import Settings

app = typer.Typer(help="Operating it: the queue, retries, pauses, erasing.", no_args_is_help=True)
app.add_typer(keys.app, name="keys")
app.add_typer(breaker.app, name="breaker")
app.add_typer(deliveries.app, name="deliveries")

BY = "local"
_SHOWN = 20

Part = Annotated[
    Literal["intake", "download", "transcription"],
    typer.Argument(help="intake: no requests are taken. The others: no run begins that asset."),
]


@app.command()
def overview(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """States, who waits longest, what runs, failures by cause, pauses, how much room is left."""
    from resources.admin.service import overview as read_overview

    with opened_database() as (settings, postgres):
        seen = read_overview(postgres, settings.home)
    if as_json:
        document = json.dumps(asdict(seen), indent=2, default=lambda date: date.isoformat())
        sys.stdout.write(document + "\n")
    else:
        print_overview(seen, _console())


@app.command()
def retry(
    status: Annotated[
        Literal["failed", "canceled"], typer.Option(help="What they are at the moment.")
    ] = "failed",
    code: Annotated[str | None, typer.Option(help="The error's, such as source_blocked.")] = None,
    channel: Annotated[str | None, typer.Option(help="Its name or id.")] = None,
    created_after: Annotated[
        datetime | None, typer.Option(help="First asked for then or later, in UTC.")
    ] = None,
    created_before: Annotated[
        datetime | None, typer.Option(help="First asked for before, in UTC.")
    ] = None,
) -> None:
    """Queues everything that fits for a new series of attempts."""
    from resources.admin.service import RetryFilter, retry_all

    chosen = RetryFilter(status, code, channel, _utc(created_after), _utc(created_before))
    with opened_database() as (_, postgres):
        affected = retry_all(postgres, chosen, BY)
    _say(_console(), affected, "queued again")


@app.command()
def pause(
    part: Part,
    reason: Annotated[str, typer.Option(help="For other operators.")] = "",
) -> None:
    """Stops a part until it is resumed, restarts included. What runs is not disturbed."""
    from resources.orchestration.pauses import pause as stop

    console = _console()
    with opened_database() as (settings, postgres):
        stop(postgres, part, reason, BY)
        console.print(f"{part} is paused.")
        _apply(settings, postgres, console)


@app.command()
def resume(part: Part) -> None:
    """Lets it go on."""
    from resources.orchestration.pauses import resume as go_on

    console = _console()
    with opened_database() as (settings, postgres):
        was_paused = go_on(postgres, part, BY)
        console.print(f"{part} goes on." if was_paused else f"{part} was not paused.")
        _apply(settings, postgres, console)


@app.command()
def purge(
    older_than_days: Annotated[
        float | None,
        typer.Option(min=0, help="Since it last changed, and since anybody last asked for it."),
    ] = None,
    status: Annotated[
        Literal["completed", "failed", "canceled"] | None,
        typer.Option(help="Left out: any that is at rest."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run/--erase", help="Only tell which they are, or erase them.")
    ] = True,
) -> None:
    """Erases what is old or failed: text, audio, rows, runs. A dry run without --erase."""
    from resources.admin.service import Affected
    from resources.maintenance.erasure import Erasure
    from resources.maintenance.purge import PurgeFilter
    from resources.maintenance.purge import purge as erase_all
    from resources.orchestration.orchestrator import Orchestrator
    from ytcaption_assets.cli.up.dagster_home import dagster_instance

    chosen = PurgeFilter(older_than_days, status)
    console = _console()
    with opened_database() as (settings, postgres), dagster_instance(settings) as instance:
        erasure = Erasure(settings, postgres, Orchestrator(instance))
        purged = erase_all(postgres, erasure, chosen, BY, dry_run=dry_run)
    affected = Affected(purged.number, purged.ids)
    _say(console, affected, "would be erased" if dry_run else "fit")
    if not dry_run:
        console.print(f"{purged.erased:,} erased.")


@app.command()
def keep(
    ids: Annotated[list[str], typer.Argument(help="Of transcriptions.", metavar="ID...")],
    off: Annotated[bool, typer.Option("--off", help="Let age take them again.")] = False,
) -> None:
    """Keeps transcriptions and their audio whatever their age, for all who asked for them."""
    from resources.transcriptions.actions import set_pinned

    with opened_database() as (_, postgres):
        for id in ids:
            set_pinned(postgres, id, None, not off)
    _console().print(f"{len(ids):,} are {'no longer kept' if off else 'kept'}.")


@app.command()
def retention(
    dry_run: Annotated[
        bool, typer.Option("--dry-run/--apply", help="Only tell, or take it away now.")
    ] = True,
) -> None:
    """What is older than the settings allow; Dagster takes it away each night by itself.

    Exit status: 0, or 1 where a part was away or something could not be taken away.
    """
    from resources.maintenance.retention import RETENTION
    from ytcaption_assets.cli.admin.doctor import make_checks, print_findings

    findings = make_checks(RETENTION, repair=not dry_run)
    print_findings(findings, _console(), repair=not dry_run, well="Nothing is too old.")
    if any(each.problem or (each.repaired and each.repaired.left) for each in findings):
        raise typer.Exit(1)


def print_overview(seen: "Overview", console: "Console") -> None:
    """The reading as tables."""
    from rich.markup import escape
    from rich.table import Table

    from ytcaption_assets.cli.up.status import duration

    table = Table("transcriptions", "number")
    table.columns[1].justify = "right"
    for status, number in seen.counts.items():
        table.add_row(status, f"{number:,}")
    console.print(table)
    if seen.oldest_waiting_s is not None:
        console.print(f"The oldest has waited {duration(seen.oldest_waiting_s)}.")
    if seen.running:
        table = Table("running", "stage", "done", "attempt", "since", "last sign of life")
        for each in seen.running:
            done = ""
            if each.progress_done is not None and each.progress_total:
                done = f"{each.progress_done / each.progress_total:.0%}"
            since, silent = duration(each.age_s), duration(each.silent_s)
            name = escape(each.title or each.id)
            table.add_row(name, each.stage or "", done, str(each.attempt), since, silent)
        console.print(table)
    if seen.failures:
        table = Table("failed with", "number", "last", "what was said")
        for failure in seen.failures:
            last = failure.last_at.astimezone().strftime("%Y-%m-%d %H:%M")
            said = escape(failure.last_message or "")
            table.add_row(failure.code, f"{failure.number:,}", last, said)
        console.print(table)
    if seen.breakers:
        breaker.print_breakers(seen.breakers, console)
    for site in seen.throttled:
        console.print(f"{site.waiting:,} wait. {site.message}", markup=False, soft_wrap=True)
    for each in seen.pauses:
        since = each.paused_at.astimezone().strftime("%Y-%m-%d %H:%M")
        reason = f": {each.reason}" if each.reason else ""
        line = f"{each.part} is paused since {since} by {each.paused_by}{reason}"
        console.print(line, markup=False, soft_wrap=True)
    console.print(
        f"{seen.media_count:,} media, {seen.audio_bytes / 1e9:.2f} GB of audio; "
        f"{seen.disk_free_bytes / 1e9:.1f} of {seen.disk_total_bytes / 1e9:.1f} GB free.",
        soft_wrap=True,
    )


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False)


def _apply(settings: "Settings", postgres: "Postgres", console: "Console") -> None:
    from resources.orchestration.pauses import follow_pauses, paused_parts
    from ytcaption.domain.errors import YtcaptionError
    from ytcaption_assets.cli.up.dagster_home import dagster_instance

    try:
        with dagster_instance(settings) as instance:
            follow_pauses(instance, settings, paused_parts(postgres))
    except YtcaptionError as error:
        console.print(
            f"{error.message} Its pools follow once it does.", markup=False, soft_wrap=True
        )


def _say(console: "Console", affected: "Affected", what: str) -> None:
    console.print(f"{affected.number:,} transcriptions {what}.")
    for id in affected.ids[:_SHOWN]:
        console.print(f"  {id}", markup=False, soft_wrap=True)
    if affected.number > _SHOWN:
        console.print(f"  and {affected.number - _SHOWN:,} more")


def _utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.replace(tzinfo=UTC)
