"""`ytcaption admin breaker list|open|close`: sites from which no download starts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ytcaption_assets.cli.database import opened_database

if TYPE_CHECKING:
    from rich.console import Console

    from resources.sites.circuit_breaker import Breaker

app = typer.Typer(
    help="Sites from which no download starts: five failures open one, a success closes it.",
    no_args_is_help=True,
)

BY = "local"
_STATES = {"closed": "start", "open": "wait", "probing": "one tries"}

Site = Annotated[str, typer.Argument(help="As listed, a host or a URL: youtube.com.")]


@app.command("list")
def list_breakers() -> None:
    """Sites that have failed since their last success, and what waits for them."""
    from resources.sites.circuit_breaker import breakers

    console = _console()
    with opened_database() as (_, postgres):
        found = breakers(postgres)
    if found:
        print_breakers(found, console)
    else:
        console.print("No site fails.")


@app.command("open")
def open_site(
    site: Site, reason: Annotated[str, typer.Option(help="For other operators.")] = ""
) -> None:
    """No download starts from it until it is closed, restarts included. What runs goes on."""
    from resources.sites.circuit_breaker import open_breaker, site_named

    named = site_named(site)
    with opened_database() as (_, postgres):
        open_breaker(postgres, named, reason, BY)
    _console().print(f"No download starts from {named}.", markup=False)


@app.command("close")
def close_site(site: Site) -> None:
    """Downloads from it start again, and its failures are forgotten."""
    from resources.sites.circuit_breaker import close_breaker, site_named

    named = site_named(site)
    with opened_database() as (_, postgres):
        was_open = close_breaker(postgres, named, BY)
    said = f"Downloads from {named} go on." if was_open else f"{named} was not open."
    _console().print(said, markup=False)


def print_breakers(found: "Sequence[Breaker]", console: "Console") -> None:
    """A row a site."""
    from rich.markup import escape
    from rich.table import Table

    table = Table("site", "downloads", "failures", "last", "next try", "waiting", "by an operator")
    for each in found:
        probe = f"{each.probe_at.astimezone():%Y-%m-%d %H:%M:%S}" if each.probe_at else ""
        by = f"{each.opened_by}: {each.reason}" if each.opened_by else ""
        counts = (str(each.failures), each.code or "", probe, f"{each.waiting:,}")
        table.add_row(escape(each.site), _STATES[each.state], *counts, escape(by))
    console.print(table)


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False)
