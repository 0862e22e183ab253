"""`ytcaption admin breaker list|open|close`: sites whose downloads are stopped."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ytcaption_assets.cli.database import opened_database

if TYPE_CHECKING:
    from rich.console import Console

    from resources.sites.circuit_breaker import Breaker

app = typer.Typer(
    help="Circuit breakers: after five failures in a row a site's breaker opens, and no download "
    "starts from the site; one success closes it.",
    no_args_is_help=True,
)

BY = "local"
_STATES = {"closed": "allowed", "open": "stopped", "probing": "one trial"}

Site = Annotated[str, typer.Argument(help="A site as listed, a host or a URL, e.g. youtube.com.")]


@app.command("list")
def list_breakers() -> None:
    """List sites that have failed since their last success, and how many items wait for them."""
    from resources.sites.circuit_breaker import breakers

    console = _console()
    with opened_database() as (_, postgres):
        rows = breakers(postgres)
    if rows:
        print_breakers(rows, console)
    else:
        console.print("No site is failing.")


@app.command("open")
def open_site(
    site: Site, reason: Annotated[str, typer.Option(help="For other operators.")] = ""
) -> None:
    """Stop downloads from a site until it is closed again, even after a restart.

    Downloads that are running continue.
    """
    from resources.sites.circuit_breaker import open_breaker, site_named

    named = site_named(site)
    with opened_database() as (_, postgres):
        open_breaker(postgres, named, reason, BY)
    _console().print(f"Downloads from {named} are stopped.", markup=False)


@app.command("close")
def close_site(site: Site) -> None:
    """Allow downloads from a site again and clear its failures."""
    from resources.sites.circuit_breaker import close_breaker, site_named

    named = site_named(site)
    with opened_database() as (_, postgres):
        was_open = close_breaker(postgres, named, BY)
    message = f"Downloads from {named} continue." if was_open else f"{named} was not open."
    _console().print(message, markup=False)


def print_breakers(rows: "Sequence[Breaker]", console: "Console") -> None:
    """Print a table with one row per site."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        *("site", "downloads", "failures", "last error", "next trial", "waiting", "operator")
    )
    for each in rows:
        probe = f"{each.probe_at.astimezone():%Y-%m-%d %H:%M:%S}" if each.probe_at else ""
        by = f"{each.opened_by}: {each.reason}" if each.opened_by else ""
        counts = (str(each.failures), each.code or "", probe, f"{each.waiting:,}")
        table.add_row(escape(each.site), _STATES[each.state], *counts, escape(by))
    console.print(table)


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False)
