"""The command `ytcaption status`."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ytcaption_assets.cli.terminal_text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from resources.network.proxy_health import ProxyHealth
    from ytcaption_assets.cli.up.status_report import StatusReport

EXIT_UNHEALTHY, EXIT_NOT_RUNNING = 1, 3  # as in `systemctl status` and the LSB


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show the processes on this home and the number of transcriptions in each state.

    If `ytcaption up` does not run, the embedded Postgres is started briefly. Exit status: 0 all
    processes run and answer, 1 some do not, 3 `ytcaption up` does not run.
    """
    from rich.console import Console

    from ytcaption.settings.settings import load_settings
    from ytcaption_assets.cli.up.status_report import read_status

    report = read_status(load_settings())
    if as_json:
        sys.stdout.write(status_json(report) + "\n")
    else:
        print_status(report, Console())
    if not report.is_healthy:
        raise typer.Exit(EXIT_UNHEALTHY if report.runs else EXIT_NOT_RUNNING)


def status_json(report: "StatusReport") -> str:
    """Return the report as a JSON object, with durations in seconds and times by RFC 3339."""
    document = asdict(report) | {
        "runs": report.runs,
        "healthy": report.is_healthy,
        "leftovers": report.orphans,  # its name before 0.2
    }
    if queue := document["queue"]:
        name_throttled_sites(queue)
        for proxy in queue["proxies"]:
            proxy["rests_until"] = proxy["cooling_until"]  # its name before 0.2
    return json.dumps(document, indent=2, default=lambda date: date.isoformat())


def name_throttled_sites(document: dict[str, Any]) -> None:
    """Name the throttled sites as the API does, and also as before 0.2."""
    document["throttled_sites"] = document["resting"] = document.pop("throttled")


def print_status(report: "StatusReport", console: "Console") -> None:
    """Print the report as tables."""
    from rich.markup import escape
    from rich.table import Table

    console.print(f"Home: {report.home}", highlight=False, soft_wrap=True)
    if report.runs:
        table = Table("process", "health", "pid", "up since", "restarts", "address")
        table.columns[-1].overflow = "fold"
        for each in report.processes:
            table.add_row(
                each.name,
                f"[{'green' if each.health == 'ok' else 'red'}]{each.health}",
                str(each.pid or ""),
                "" if each.uptime_s is None else duration(each.uptime_s),
                str(each.restarts or ""),
                each.address or "",
            )
        postgres = "[green]ok" if report.postgres_runs else "[red]not running"
        table.add_row(f"Postgres ({report.postgres})", postgres)
        console.print(table)
        for name, health in report.workers.items():
            console.print(
                f"{name}: {health.jobs} of {health.slots} slots, {health.memory_bytes >> 20} MB, "
                f"{', '.join(health.models) or 'no model loaded'}",
                highlight=False,
            )
            if health.embedding is not None and health.embedding.memory_bytes:
                console.print(
                    f"{name}: {health.embedding.model} for embeddings, "
                    f"{health.embedding.memory_bytes >> 20} MB",
                    highlight=False,
                )
    else:
        postgres = "is running" if report.postgres_runs else "is not running"
        console.print(f"`ytcaption up` is not running; Postgres ({report.postgres}) {postgres}.")
        if report.orphans:
            console.print(
                f"{report.orphans} processes are left from an `up` that was killed; "
                "the next `ytcaption up` ends them."
            )
    for each in report.standstills:
        console.print(
            printable(each.reason), style="red" if each.is_fault else "yellow", markup=False
        )
    if report.problem:
        console.print(printable(report.problem), markup=False)
    if report.counts is not None:
        table = Table("transcriptions", "number")
        table.columns[1].justify = "right"
        for state, count in report.counts.items():
            table.add_row(state.value, str(count))
        console.print(table)
    if report.embeddings and (report.embeddings.waiting or report.embeddings.failed):
        console.print(
            f"{report.embeddings.waiting:,} completed transcriptions wait for embeddings; "
            f"{report.embeddings.failed:,} could not be embedded.",
            highlight=False,
        )
    if report.queue and report.queue.oldest_waiting_s is not None:
        console.print(f"The longest wait is {duration(report.queue.oldest_waiting_s)}.")
    for site in report.queue.throttled if report.queue else ():
        console.print(f"{site.waiting:,} waiting. {site.message}", markup=False, soft_wrap=True)
    if report.queue and report.queue.proxies:
        print_proxies(report.queue.proxies, console)
    if report.queue and report.queue.failures:
        table = Table("failed with", "number", "last at", "last message")
        for failure in report.queue.failures:
            last = failure.last_at.astimezone().strftime("%Y-%m-%d %H:%M")
            table.add_row(
                failure.code, str(failure.number), last, escape(printable(failure.last_message))
            )
        console.print(table)


def print_proxies(proxies: "Sequence[ProxyHealth]", console: "Console") -> None:
    """Print a row per proxy."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("proxy", "health", "failures", "last used", "error")
    for each in proxies:
        health = "[green]ok"
        if each.cooling_until is not None:
            health = f"[red]cooling down until {each.cooling_until.astimezone():%H:%M:%S}"
        used = f"{each.used_at.astimezone():%Y-%m-%d %H:%M}" if each.used_at else ""
        error = escape(printable(each.error))
        table.add_row(escape(each.name), health, str(each.failures or ""), used, error)
    console.print(table)


def duration(seconds: float) -> str:
    """Return a duration such as `42 s`, `3 min 5 s`, `2 h 7 min` or `5 d 3 h`."""
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    remaining_s, parts = max(int(seconds), 0), []
    for name, size_s in units:
        number, remaining_s = divmod(remaining_s, size_s)
        if number or parts or size_s == 1:
            parts.append(f"{number} {name}")
    return " ".join(parts[:2])
