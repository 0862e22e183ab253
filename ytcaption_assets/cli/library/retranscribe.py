"""`ytcaption retranscribe`: transcribe many media items again with other options."""

from typing import TYPE_CHECKING, Annotated

import typer

from ytcaption_assets.cli.database import opened_database
from ytcaption_assets.cli.terminal_text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from resources.retranscribe.plan import RetranscriptionResult


def retranscribe(
    where: Annotated[
        str | None,
        typer.Option(
            metavar="EXPRESSION",
            help="Condition, such as \"model = 'base' and created_at < '2026-06-01'\".",
            show_default=False,
        ),
    ] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only if the source's audio has been replaced.")
    ] = False,
    model: Annotated[str | None, typer.Option(help="Default: unchanged.")] = None,
    language: Annotated[
        str | None, typer.Option(help="Default: unchanged; auto: detected.")
    ] = None,
    captions: Annotated[
        str | None, typer.Option(help="prefer, prefer_any, never or only; default: unchanged.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Transcriptions at most.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be queued.")
    ] = False,
) -> None:
    """Transcribe media again with another model, language or use of captions.

    Each result is another version of its media; the newest is served and the others stay.
    Interactive requests go first. Repeating the command queues only what is still missing.
    """
    from rich.console import Console

    from resources.retranscribe.plan import parse_retranscription
    from resources.retranscribe.service import enqueue_retranscriptions
    from ytcaption.settings.settings import load_settings

    models = load_settings().speech.models
    wanted = parse_retranscription(
        models,
        where,
        changed=changed,
        model=model,
        language=language,
        captions=captions,
        limit=limit,
    )
    console = Console(highlight=False)
    with opened_database() as (_, postgres), Console(stderr=True).status("Searching") as status:

        def show(result: "RetranscriptionResult") -> None:
            status.update(f"{result.examined:,} examined, {result.number:,} to transcribe")

        result = enqueue_retranscriptions(postgres, models, wanted, dry_run=dry_run, on_batch=show)
    print_retranscription(result, console, dry_run=dry_run)


def print_retranscription(
    result: "RetranscriptionResult", console: "Console", *, dry_run: bool
) -> None:
    """Print each group's models, number and hours, and why others were excluded."""
    from rich.table import Table

    if result.groups:
        table = Table("made by", "new model", "language", "transcriptions", "hours of audio")
        for column in table.columns[3:]:
            column.justify = "right"
        for kind, number in result.groups.most_common():
            hours = result.audio_s_by_group[kind] / 3600
            made_by, language = kind.made_by or "captions", kind.language or ""
            table.add_row(made_by, kind.model, language, f"{number:,}", f"{hours:,.1f}")
        console.print(table)
    verb = "would be" if dry_run else "are"
    console.print(
        f"{result.number:,} transcriptions {verb} queued, {result.audio_s / 3600:,.1f} hours of "
        f"audio; {result.examined:,} match.",
        soft_wrap=True,
    )
    if result.joined:
        console.print(f"{result.joined:,} exist already and {verb} shared.")
    for reason, number in result.excluded.most_common():
        console.print(f"{number:,} excluded: {printable(reason)}", markup=False, soft_wrap=True)
