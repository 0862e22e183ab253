"""`ytcaption keys create|list|rotate|revoke`: who may use the API. Works on the database itself."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ytcaption.domain.caller import Limits
from ytcaption_assets.cli.database import opened_database

if TYPE_CHECKING:
    from resources.auth.api_keys import ApiKeyRow

app = typer.Typer(help="The API keys: making, listing and ending them.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="For people: who or what it is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="read, write or admin; may be repeated. Left out: read and write."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="Such as 12h, 90d or 4w; left out: never.")
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="Left out: as the settings say.")
    ] = None,
    concurrent_transcriptions: Annotated[
        int | None, typer.Option(min=1, help="Unfinished at a time; left out: as the settings say.")
    ] = None,
    audio_minutes_per_day: Annotated[
        int | None, typer.Option(min=1, help="Left out: as the settings say.")
    ] = None,
) -> None:
    """Makes a key. It goes to standard output, once: of its secret only a hash is kept.

    From the first key on every request needs one.
    """
    from rich.console import Console

    from resources.auth.api_keys import ApiKeys, parse_span

    expires_in = None if expires is None else parse_span(expires)
    with opened_database() as (_, postgres):
        made = ApiKeys(postgres).create(
            name,
            scope or ["read", "write"],
            expires_in=expires_in,
            limits=Limits(requests_per_minute, concurrent_transcriptions, audio_minutes_per_day),
        )
    said = Console(stderr=True, highlight=False)
    said.print(
        f"Key {made.row.id} ({', '.join(made.row.scopes)}) for {made.row.name}. Keep it: it is "
        "shown this once.",
        markup=False,
        soft_wrap=True,
    )
    sys.stdout.write(f"{made.token}\n")


@app.command("list")
def list_keys() -> None:
    """All keys: how they begin, what they may, when they were last used."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from resources.auth.api_keys import ApiKeys

    console = Console(highlight=False)
    with opened_database() as (_, postgres):
        rows = ApiKeys(postgres).all()
    if not rows:
        console.print("No keys. On loopback the API is open to everybody on this machine.")
        return
    # The id is there to be copied: it is never cut. Nor is a date.
    table = Table(
        Column("id", no_wrap=True),
        *("name", "scopes", "limits"),
        *(Column(title, no_wrap=True) for title in ("made", "last used")),
        "state",
    )
    for row in rows:
        table.add_row(
            row.id,
            escape(row.name),
            ", ".join(row.scopes),
            limits_text(row.limits),
            f"{row.created_at:%Y-%m-%d}",
            f"{row.last_used_at:%Y-%m-%d %H:%M}" if row.last_used_at else "never",
            state_text(row),
        )
    console.print(table)


@app.command()
def rotate(id: Annotated[str, typer.Argument(help="As `ytcaption keys list` shows it.")]) -> None:
    """Gives a key another secret; it goes to standard output, once. The one before is refused.

    Transcriptions that were asked for with the key stay its own.
    """
    from resources.auth.api_keys import ApiKeys

    with opened_database() as (_, postgres):
        made = ApiKeys(postgres).rotate(_id_of(id))
    sys.stdout.write(f"{made.token}\n")


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(help="As `ytcaption keys list` shows it.")],
    forget: Annotated[
        bool,
        typer.Option(
            "--forget",
            help="Take it off the list, too. Without any key left the API on loopback is open.",
        ),
    ] = False,
) -> None:
    """Ends a key. Running servers refuse it within a minute; its channels are paused."""
    from rich.console import Console

    from resources.auth.api_keys import ApiKeys

    with opened_database() as (_, postgres):
        keys = ApiKeys(postgres)
        row = keys.delete(_id_of(id)) if forget else keys.revoke(_id_of(id))
    Console(highlight=False).print(
        f"The key {row.id} of {row.name} opens nothing any more.", markup=False, soft_wrap=True
    )


def _id_of(text: str) -> str:
    """The whole key will do, too: its id is its second part."""
    return text.split("_")[1] if text.startswith("ytc_") else text


def limits_text(limits: Limits) -> str:
    """The limits that are the key's own."""
    own = {
        "requests/min": limits.requests_per_minute,
        "at a time": limits.concurrent_transcriptions,
        "audio min/day": limits.audio_minutes_per_day,
    }
    return ", ".join(f"{number} {what}" for what, number in own.items() if number)


def state_text(row: "ApiKeyRow") -> str:
    """Whether it opens the door, and until when."""
    if row.revoked_at is not None:
        return f"revoked {row.revoked_at:%Y-%m-%d}"
    if not row.is_valid_at(datetime.now(UTC)):
        return f"expired {row.expires_at:%Y-%m-%d}"
    return f"until {row.expires_at:%Y-%m-%d}" if row.expires_at else "good"
