"""`ytcaption admin deliveries dead|replay`: webhooks' dead letters."""

from typing import Annotated
from uuid import UUID

import typer

from ytcaption_assets.cli.database import opened_database

app = typer.Typer(help="Webhooks' dead letters: seeing and sending them.", no_args_is_help=True)

BY = "local"

WebhookId = Annotated[UUID | None, typer.Option("--webhook", help="Of this webhook only.")]
Owner = Annotated[str | None, typer.Option(help="Of this owner only, such as key:<id>.")]
Outcome = Annotated[str | None, typer.Option(help="Of the last attempt, such as server_error.")]


@app.command()
def dead(
    webhook: WebhookId = None,
    owner: Owner = None,
    outcome: Outcome = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most that are shown.")] = 50,
) -> None:
    """What nobody tries again by itself, the latest first."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from resources.telemetry.logs import redact_secrets
    from resources.webhooks.deliveries import DeadFilter, Deliveries

    with opened_database() as (_, postgres):
        found = Deliveries(postgres).dead(
            DeadFilter(webhook, owner, outcome), before=None, limit=limit
        )
    table = Table("delivery", "event", "to", "attempts", "last", "since")
    for each in found:
        since = (each.settled_at or each.created_at).astimezone()
        table.add_row(
            str(each.id),
            each.event_type,
            escape(redact_secrets(each.url)),
            str(each.attempt),
            each.last_outcome,
            f"{since:%Y-%m-%d %H:%M}",
        )
    console = Console(highlight=False)
    console.print(table if found else "No dead letters.")


@app.command()
def replay(webhook: WebhookId = None, owner: Owner = None, outcome: Outcome = None) -> None:
    """Sends dead letters again, each in a new series of attempts; disabled webhooks' stay dead."""
    from rich.console import Console

    from resources.webhooks.deliveries import DeadFilter, Deliveries

    with opened_database() as (_, postgres):
        number = Deliveries(postgres).replay(DeadFilter(webhook, owner, outcome), BY)
    Console(highlight=False).print(f"{number:,} deliveries are sent again.")
