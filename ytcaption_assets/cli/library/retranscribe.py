"""`ytcaption retranscribe`: the same media with other options, many at once."""

from typing import TYPE_CHECKING, Annotated

import typer

from ytcaption_assets.cli.database import opened_database

if TYPE_CHECKING:
    from rich.console import Console

    from resources.retranscribe.plan import RetranscriptionResult


def retranscribe(
    where: Annotated[
        str | None,
        typer.Option(
            metavar="EXPRESSION",
            help="Which, such as \"model = 'base' and created_at < '2026-06-01'\".",
            show_default=False,
        ),
    ] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Those whose source has other audio since.")
    ] = False,
    model: Annotated[str | None, typer.Option(help="Left out: as it was.")] = None,
    language: Annotated[
        str | None, typer.Option(help="Left out: as it was; auto: detected.")
    ] = None,
    captions: Annotated[
        str | None, typer.Option(help="prefer, prefer_any, never or only; left out: as it was.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Most that are made.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be.")] = False,
) -> None:
    """Has transcriptions made anew with another model, language or captions.

    Each is a version more of its media, made when nothing interactive waits; the newest is served,
    the others stay. Called again, it asks for what is not there yet.
    """
    from rich.console import Console

    from resources.retranscribe.plan import parse_retranscription
    from resources.retranscribe.service import enqueue_retranscriptions
    from ytcaption.settings import load_settings

    models = load_settings().models
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
    with opened_database() as (_, postgres), Console(stderr=True).status("Looking") as status:

        def show(found: "RetranscriptionResult") -> None:
            status.update(f"{found.examined:,} looked at, {found.number:,} to be made")

        found = enqueue_retranscriptions(postgres, models, wanted, dry_run=dry_run, on_batch=show)
    print_anew(found, console, dry_run=dry_run)


def print_anew(found: "RetranscriptionResult", console: "Console", *, dry_run: bool) -> None:
    """What becomes what, how many and how long; what is left out, and why."""
    from rich.table import Table

    if found.groups:
        table = Table("made by", "becomes", "language", "transcriptions", "hours of audio")
        for column in table.columns[3:]:
            column.justify = "right"
        for kind, number in found.groups.most_common():
            hours = found.audio_s_by_group[kind] / 3600
            made_by, language = kind.made_by or "captions", kind.language or ""
            table.add_row(made_by, kind.model, language, f"{number:,}", f"{hours:,.1f}")
        console.print(table)
    said = "would be made" if dry_run else "are queued"
    console.print(
        f"{found.number:,} transcriptions {said}, {found.audio_s / 3600:,.1f} hours of audio; "
        f"{found.examined:,} fit.",
        soft_wrap=True,
    )
    if found.joined:
        said = "would be shared" if dry_run else "are shared"
        console.print(f"{found.joined:,} are there already, and {said}.")
    for reason, number in found.excluded.most_common():
        console.print(f"{number:,} left out: {reason}", markup=False, soft_wrap=True)
