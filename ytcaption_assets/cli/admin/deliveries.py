"""`ytcaption admin deliveries dead|replay`: webhook deliveries that failed for good."""

from typing import Annotated
from uuid import UUID

import typer

from ytcaption_assets.cli.database import opened_database
from ytcaption_assets.cli.terminal_text import printable

app = typer.Typer(
    help="Dead letters, which are webhook deliveries out of attempts: list them, send them again.",
    no_args_is_help=True,
)

BY = "local"

WebhookId = Annotated[UUID | None, typer.Option("--webhook", help="Only of this webhook.")]
Owner = Annotated[str | None, typer.Option(help="Only of this owner, such as key:<id>.")]
Outcome = Annotated[
    str | None, typer.Option(help="Only with this last outcome, such as server_error.")
]


@app.command()
def dead(
    webhook: WebhookId = None,
    owner: Owner = None,
    outcome: Outcome = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Rows shown at most.")] = 50,
) -> None:
    """List dead letters, newest first; they are not retried automatically."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from resources.telemetry.logs import redact_secrets
    from resources.webhooks.deliveries import DeadFilter, Deliveries

    with opened_database() as (_, postgres):
        rows = Deliveries(postgres).dead(
            DeadFilter(webhook, owner, outcome), before=None, limit=limit
        )
    table = Table("delivery", "event", "url", "attempts", "last outcome", "since")
    for each in rows:
        since = (each.settled_at or each.created_at).astimezone()
        table.add_row(
            str(each.id),
            each.event_type,
            escape(printable(redact_secrets(each.url))),
            str(each.attempt),
            each.last_outcome,
            f"{since:%Y-%m-%d %H:%M}",
        )
    console = Console(highlight=False)
    console.print(table if rows else "No dead letters.")


@app.command()
def replay(webhook: WebhookId = None, owner: Owner = None, outcome: Outcome = None) -> None:
    """Send dead letters again with a new series of attempts; skip those of disabled webhooks."""
    from rich.console import Console

    from resources.webhooks.deliveries import DeadFilter, Deliveries

    with opened_database() as (_, postgres):
        count = Deliveries(postgres).replay(DeadFilter(webhook, owner, outcome), BY)
    Console(highlight=False).print(f"{count:,} deliveries will be sent again.")
