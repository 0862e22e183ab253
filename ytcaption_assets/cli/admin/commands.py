"""`ytcaption admin ...`: commands for operators, on the database."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ytcaption_assets.cli.admin import circuit_breaker as breaker
from ytcaption_assets.cli.admin import deliveries, keys
from ytcaption_assets.cli.database import opened_database
from ytcaption_assets.cli.terminal_text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from resources.admin.service import Affected, Overview
    from resources.postgres.connection import Postgres
    from ytcaption.settings.settings import Settings

app = typer.Typer(
    help="Operate the system: queue, retries, pauses, retention, erasure.", no_args_is_help=True
)
app.add_typer(keys.app, name="keys")
app.add_typer(breaker.app, name="breaker")
app.add_typer(deliveries.app, name="deliveries")

BY = "local"
_SHOWN = 20

Part = Annotated[
    Literal["intake", "download", "transcription"],
    typer.Argument(
        help="intake: new requests are refused. download, transcription: no run starts this step."
    ),
]

Channel = Annotated[str | None, typer.Option(help="Name or id of the channel.")]
CreatedAfter = Annotated[
    datetime | None, typer.Option(help="First requested at this time or later, in UTC.")
]
CreatedBefore = Annotated[
    datetime | None, typer.Option(help="First requested before this time, in UTC.")
]


@app.command()
def overview(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show counts by state, the longest wait, running work, failures, pauses and disk space."""
    from resources.admin.service import overview as read_overview
    from ytcaption_assets.cli.up.status import name_throttled_sites

    with opened_database() as (settings, postgres):
        state = read_overview(postgres, settings.home)
    if as_json:
        document = asdict(state)
        name_throttled_sites(document)
        sys.stdout.write(json.dumps(document, indent=2, default=lambda date: date.isoformat()))
        sys.stdout.write("\n")
    else:
        print_overview(state, _console())


@app.command()
def retry(
    status: Annotated[
        Literal["failed", "canceled"], typer.Option(help="Current status.")
    ] = "failed",
    code: Annotated[str | None, typer.Option(help="Error code, such as source_blocked.")] = None,
    channel: Channel = None,
    created_after: CreatedAfter = None,
    created_before: CreatedBefore = None,
) -> None:
    """Queue all matching transcriptions again, each with a new series of attempts."""
    from resources.admin.service import RetryFilter, retry_all

    chosen = RetryFilter(status, code, channel, _utc(created_after), _utc(created_before))
    with opened_database() as (_, postgres):
        affected = retry_all(postgres, chosen, BY)
    _print_affected(_console(), affected, "queued again")


@app.command()
def cancel(
    status: Annotated[
        Literal["queued", "running"], typer.Option(help="Current status.")
    ] = "queued",
    owner: Annotated[
        str | None,
        typer.Option(help="Who requested it: local, or key: and a key's id. Others keep theirs."),
    ] = None,
    site: Annotated[
        str | None, typer.Option(help="Site that it is to be downloaded from: youtube.com.")
    ] = None,
    channel: Channel = None,
    created_after: CreatedAfter = None,
    created_before: CreatedBefore = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run/--cancel", help="Only list them, or cancel them.")
    ] = True,
) -> None:
    """List the transcriptions that wait, or cancel them. Without options: all that are queued."""
    from resources.admin.service import CancelFilter, cancel_all

    after, before = _utc(created_after), _utc(created_before)
    chosen = CancelFilter(status, owner, site, channel, after, before)
    with opened_database() as (_, postgres):
        affected = cancel_all(postgres, chosen, BY, dry_run=dry_run)
    _print_affected(_console(), affected, "would be canceled" if dry_run else "canceled")


@app.command()
def pause(
    part: Part,
    reason: Annotated[str, typer.Option(help="For other operators.")] = "",
) -> None:
    """Pause a part of the system until it is resumed, even after a restart.

    Runs in progress continue.
    """
    from resources.orchestration.pauses import pause as pause_part

    console = _console()
    with opened_database() as (settings, postgres):
        pause_part(postgres, part, reason, BY)
        console.print(f"{part} is paused.")
        _apply_pauses(settings, postgres, console)


@app.command()
def resume(part: Part) -> None:
    """Resume a paused part of the system."""
    from resources.orchestration.pauses import resume as resume_part

    console = _console()
    with opened_database() as (settings, postgres):
        was_paused = resume_part(postgres, part, BY)
        console.print(f"{part} is resumed." if was_paused else f"{part} was not paused.")
        _apply_pauses(settings, postgres, console)


@app.command()
def purge(
    older_than_days: Annotated[
        float | None,
        typer.Option(min=0, help="Days since its last change and its last request."),
    ] = None,
    status: Annotated[
        Literal["completed", "failed", "canceled"] | None,
        typer.Option(help="Default: any of these."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run/--erase", help="Only list them, or erase them.")
    ] = True,
) -> None:
    """List old or failed transcriptions, or erase them: text, audio, rows and runs."""
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
    _print_affected(console, affected, "would be erased" if dry_run else "match")
    if not dry_run:
        console.print(f"{purged.erased:,} erased.")


@app.command()
@app.command("keep", hidden=True, deprecated=True)  # its name before 0.2
def pin(
    ids: Annotated[list[str], typer.Argument(help="Ids of transcriptions.", metavar="ID...")],
    off: Annotated[bool, typer.Option("--off", help="Unpin them.")] = False,
) -> None:
    """Pin transcriptions, for all their owners: retention removes neither them nor their audio."""
    from resources.transcriptions.actions import set_pinned

    with opened_database() as (_, postgres):
        for id in ids:
            set_pinned(postgres, id, None, not off)
    _console().print(f"{len(ids):,} transcriptions are {'unpinned' if off else 'pinned'}.")


@app.command()
def retention(
    dry_run: Annotated[
        bool, typer.Option("--dry-run/--apply", help="Only list the data, or remove it now.")
    ] = True,
) -> None:
    """List data older than the settings allow, or remove it, as Dagster does each night.

    Exit status: 0, or 1 if a part of the system was not available or something was not removed.
    """
    from resources.maintenance.retention import RETENTION
    from ytcaption_assets.cli.admin.doctor import make_checks, print_findings

    findings = make_checks(RETENTION, repair=not dry_run)
    print_findings(findings, _console(), repair=not dry_run, well="Nothing is too old.")
    if any(each.problem or (each.repaired and each.repaired.left) for each in findings):
        raise typer.Exit(1)


def print_overview(state: "Overview", console: "Console") -> None:
    """Print the overview as tables."""
    from rich.filesize import decimal
    from rich.markup import escape
    from rich.table import Table

    from ytcaption_assets.cli.up.status import duration

    table = Table("transcriptions", "number")
    table.columns[1].justify = "right"
    for status, count in state.counts.items():
        table.add_row(status, f"{count:,}")
    console.print(table)
    if state.oldest_waiting_s is not None:
        console.print(f"The longest wait is {duration(state.oldest_waiting_s)}.")
    if state.running:
        table = Table("running", "stage", "done", "attempt", "for", "last heartbeat")
        for each in state.running:
            done = ""
            if each.progress_done is not None and each.progress_total:
                done = f"{each.progress_done / each.progress_total:.0%}"
            since, silent = duration(each.age_s), duration(each.silent_s)
            name = escape(printable(each.title or each.id))
            table.add_row(name, each.stage or "", done, str(each.attempt), since, silent)
        console.print(table)
    if state.failures:
        table = Table("failed with", "number", "last at", "last message")
        for failure in state.failures:
            last = failure.last_at.astimezone().strftime("%Y-%m-%d %H:%M")
            message = escape(printable(failure.last_message))
            table.add_row(failure.code, f"{failure.number:,}", last, message)
        console.print(table)
    if state.breakers:
        breaker.print_breakers(state.breakers, console)
    for site in state.throttled:
        console.print(f"{site.waiting:,} waiting. {site.message}", markup=False, soft_wrap=True)
    for each in state.pauses:
        since = each.paused_at.astimezone().strftime("%Y-%m-%d %H:%M")
        reason = f": {each.reason}" if each.reason else ""
        line = f"{each.part} is paused since {since} by {each.paused_by}{reason}"
        console.print(printable(line), markup=False, soft_wrap=True)
    console.print(
        f"{state.media_count:,} media items, {decimal(state.audio_bytes)} of audio; "
        f"{decimal(state.disk_free_bytes)} of {decimal(state.disk_total_bytes)} free.",
        soft_wrap=True,
    )


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False)


def _apply_pauses(settings: "Settings", postgres: "Postgres", console: "Console") -> None:
    from resources.orchestration.pauses import follow_pauses, paused_parts
    from ytcaption.domain.errors import YtcaptionError
    from ytcaption_assets.cli.up.dagster_home import dagster_instance

    try:
        with dagster_instance(settings) as instance:
            follow_pauses(instance, settings, paused_parts(postgres))
    except YtcaptionError as error:
        console.print(
            f"{error.message} Dagster's pools follow once it answers.", markup=False, soft_wrap=True
        )


def _print_affected(console: "Console", affected: "Affected", what: str) -> None:
    console.print(f"{affected.number:,} transcriptions {what}.")
    for id in affected.ids[:_SHOWN]:
        console.print(f"  {id}", markup=False, soft_wrap=True)
    if affected.number > _SHOWN:
        console.print(f"  and {affected.number - _SHOWN:,} more")


def _utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.replace(tzinfo=UTC)
