"""`ytcaption keys create|list|rotate|revoke`: API keys, changed in the database directly."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ytcaption.domain.caller import Limits
from ytcaption_assets.cli.database import opened_database

if TYPE_CHECKING:
    from resources.auth.api_keys import ApiKeyRow

app = typer.Typer(help="API keys: create, list, rotate and revoke them.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Who or what the key is for.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="read, write or admin; can be repeated. Default: read and write."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="Lifetime, such as 12h, 90d or 4w; default: no end.")
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="Default: the settings' limit.")
    ] = None,
    concurrent_transcriptions: Annotated[
        int | None,
        typer.Option(min=1, help="Unfinished transcriptions; default: the settings' limit."),
    ] = None,
    audio_minutes_per_day: Annotated[
        int | None, typer.Option(min=1, help="Default: the settings' limit.")
    ] = None,
) -> None:
    """Create a key and print it once, on standard output; only a hash of its secret is stored.

    As soon as one key exists, every request needs a key.
    """
    from rich.console import Console

    from resources.auth.api_keys import ApiKeys, parse_span

    expires_in = None if expires is None else parse_span(expires)
    with opened_database() as (_, postgres):
        created = ApiKeys(postgres).create(
            name,
            scope or ["read", "write"],
            expires_in=expires_in,
            limits=Limits(requests_per_minute, concurrent_transcriptions, audio_minutes_per_day),
        )
    console = Console(stderr=True, highlight=False)
    console.print(
        f"Key {created.row.id} ({', '.join(created.row.scopes)}) for {created.row.name}. "
        "Save it: it is shown only this once.",
        markup=False,
        soft_wrap=True,
    )
    sys.stdout.write(f"{created.token}\n")


@app.command("list")
def list_keys() -> None:
    """List all keys with their scopes, limits, last use and state."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from resources.auth.api_keys import ApiKeys

    console = Console(highlight=False)
    with opened_database() as (_, postgres):
        rows = ApiKeys(postgres).all()
    if not rows:
        console.print("No keys. The API on loopback is open to everyone on this machine.")
        return
    # Never truncate the id, which is there to be copied, nor a date.
    table = Table(
        Column("id", no_wrap=True),
        *("name", "scopes", "limits"),
        *(Column(title, no_wrap=True) for title in ("created", "last used")),
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
def rotate(id: Annotated[str, typer.Argument(help="Id as in `ytcaption keys list`.")]) -> None:
    """Replace a key's secret and print the new key once; the old secret is refused from now on.

    The key still owns the transcriptions requested with it.
    """
    from resources.auth.api_keys import ApiKeys

    with opened_database() as (_, postgres):
        rotated = ApiKeys(postgres).rotate(_key_id(id))
    sys.stdout.write(f"{rotated.token}\n")


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(help="Id as in `ytcaption keys list`.")],
    forget: Annotated[
        bool,
        typer.Option(
            "--forget",
            help="Also delete it from the list. Without any key the API on loopback is open.",
        ),
    ] = False,
) -> None:
    """Revoke a key. Running servers refuse it within a minute; its channels are paused."""
    from rich.console import Console

    from resources.auth.api_keys import ApiKeys

    with opened_database() as (_, postgres):
        keys = ApiKeys(postgres)
        row = keys.delete(_key_id(id)) if forget else keys.revoke(_key_id(id))
    Console(highlight=False).print(
        f"The key {row.id} of {row.name} is revoked.", markup=False, soft_wrap=True
    )


def _key_id(text: str) -> str:
    """Return the id of a key that is given by its id or as a whole."""
    return text.split("_")[1] if text.startswith("ytc_") else text


def limits_text(limits: Limits) -> str:
    """Return the limits that are set for this key."""
    own = {
        "requests/min": limits.requests_per_minute,
        "unfinished": limits.concurrent_transcriptions,
        "audio min/day": limits.audio_minutes_per_day,
    }
    return ", ".join(f"{number} {unit}" for unit, number in own.items() if number)


def state_text(row: "ApiKeyRow") -> str:
    """Return whether the key is valid, and until when."""
    if row.revoked_at is not None:
        return f"revoked {row.revoked_at:%Y-%m-%d}"
    if not row.is_valid_at(datetime.now(UTC)):
        return f"expired {row.expires_at:%Y-%m-%d}"
    return f"until {row.expires_at:%Y-%m-%d}" if row.expires_at else "valid"
