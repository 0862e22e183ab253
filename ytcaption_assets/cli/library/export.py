"""`ytcaption export`: the library, or a part of it, in a folder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ytcaption_assets.cli.terminal_text import printable

if TYPE_CHECKING:
    from rich.console import Console

    from resources.export.selection import SelectedTranscription
    from resources.export.service import Exporter, ExportResult, OnProgress
    from resources.lake.catalog import TranscriptCatalog
    from ytcaption.settings import Settings

_SHOWN = 10
_MOST_IDS = 10_000_000
_LEAST_RATE, _MOST_RATE = 8_000, 48_000


class Form(StrEnum):
    """What a folder is filled with."""

    CAPTIONS = "captions"
    PARQUET = "parquet"
    AUDIOFOLDER = "audiofolder"
    LJSPEECH = "ljspeech"


def export(
    folder: Annotated[Path, typer.Argument(help="A new one, or one that was exported to before.")],
    form: Annotated[
        Form,
        typer.Option(
            "--as",
            help="Files for people; tables; or clips of speech with their text, as Hugging Face's "
            "datasets or LJSpeech have them.",
        ),
    ] = Form.CAPTIONS,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="Of captions: srt, vtt, txt, md, json, tsv or ass."),
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Its name or id.")] = None,
    language: Annotated[str | None, typer.Option(help="A code, such as en.")] = None,
    since: Annotated[str | None, typer.Option(help="First day of publication.")] = None,
    until: Annotated[str | None, typer.Option(help="Last day of publication.")] = None,
    query: Annotated[
        str | None,
        typer.Option(help="A SELECT (docs/lake.md) whose first column is transcription ids."),
    ] = None,
    versions: Annotated[
        bool, typer.Option("--versions", help="All of a media, not the newest alone.")
    ] = False,
    min_s: Annotated[float, typer.Option(min=0.1, help="Shortest clip, in seconds.")] = 1.0,
    max_s: Annotated[float, typer.Option(min=0.5, help="Longest clip, in seconds.")] = 20.0,
    sample_rate: Annotated[
        int | None,
        typer.Option(
            min=_LEAST_RATE,
            max=_MOST_RATE,
            help="Of clips, in Hz.",
            show_default="16000; ljspeech: 22050",
        ),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove what the folder holds of others.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be.")] = False,
) -> None:
    """Writes what was transcribed to a folder; again, only what is new or has changed.

    Exit status: 0 all is there, 1 some could not be exported, each with its reason, 2 wrong usage.
    """
    from rich.console import Console

    from resources.export.selection import ExportFilter, select_transcriptions
    from resources.export.service import export as export_all
    from resources.lake.catalog import TranscriptCatalog
    from resources.postgres.connection import Postgres
    from ytcaption_assets.cli.database import opened_database

    days = [_day(each) for each in (since, until)]
    console = Console(stderr=True, highlight=False)
    with opened_database() as (settings, _):
        catalog = TranscriptCatalog.from_settings(settings)
        ids = None if query is None else _ids(catalog, query)
        wanted = ExportFilter(channel, language, *days, ids=ids, versions=versions)
        found = select_transcriptions(Postgres.from_settings(settings, "api"), wanted)
        items, exporter = _exporting(
            form,
            found,
            settings,
            catalog,
            formats,
            min_s=min_s,
            max_s=max_s,
            sample_rate=sample_rate,
        )
        with _bar(console) as on_progress:
            result = export_all(
                items, exporter, folder, dry_run=dry_run, prune=prune, on_progress=on_progress
            )
    _tell(
        result,
        found,
        ids,
        "files" if form is Form.PARQUET else "transcriptions",
        console,
        dry_run=dry_run,
    )
    raise typer.Exit(1 if result.failed else 0)


def _exporting(
    form: Form,
    found: "Sequence[SelectedTranscription]",
    settings: "Settings",
    catalog: "TranscriptCatalog",
    formats: Sequence[str] | None,
    *,
    min_s: float,
    max_s: float,
    sample_rate: int | None,
) -> "tuple[Sequence[Any], Exporter[Any]]":
    """What is written one after the other, and what writes it.

    Raises:
        InvalidOption: options that do not fit together.
    """
    from resources.export.captions import CaptionExport
    from resources.export.dataset import DatasetExport
    from resources.export.parquet import ParquetExport, parts
    from ytcaption.domain.captions.formats import caption_formats
    from ytcaption.domain.errors import InvalidOption

    if formats and form is not Form.CAPTIONS:
        raise InvalidOption("--format is of --as captions.")
    if form is Form.PARQUET:
        return parts(found), ParquetExport(catalog)
    if form is Form.CAPTIONS:
        return found, CaptionExport(settings, caption_formats(formats or ["srt", "vtt", "txt"]))
    if min_s > max_s:
        raise InvalidOption("--min-s is more than --max-s.")
    exporter = DatasetExport(
        settings, form.value, min_s=min_s, max_s=max_s, sample_rate_hz=sample_rate
    )
    return found, exporter


def _ids(catalog: "TranscriptCatalog", query: str) -> list[str]:
    from ytcaption.domain.errors import QueryError

    result = catalog.query(query, limit=_MOST_IDS)
    ids = result.table.column(0).to_pylist() if result.table.num_columns else []
    if not all(isinstance(id, str) for id in ids):
        raise QueryError("The first column of the query is no transcription_id.")
    return ids


def _day(text: str | None) -> str | None:
    from ytcaption.domain.errors import InvalidOption

    try:
        return date.fromisoformat(text).isoformat() if text else None
    except ValueError as error:
        raise InvalidOption(f"{text!r} is no day. Write it such as 2026-11-24.") from error


@contextmanager
def _bar(console: "Console") -> "Iterator[OnProgress]":
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("exporting"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _tell(
    result: "ExportResult",
    found: "Sequence[SelectedTranscription]",
    ids: Sequence[str] | None,
    unit: str,
    console: "Console",
    *,
    dry_run: bool,
) -> None:
    """How many of what; on standard error, each that failed with its reason."""
    titles = {one.id: one.title or one.media_id for one in found}
    say = partial(console.print, markup=False, soft_wrap=True)
    for id, why in list(result.failed.items())[:_SHOWN]:
        say(f"Left out: {printable(titles[id])} ({id}): {why}")
    if len(result.failed) > _SHOWN:
        say(f"... and {len(result.failed) - _SHOWN:,} more.")
    missing = len(set(ids or ()) - titles.keys())
    if missing:
        say(f"{missing:,} ids of the query are of nothing that fits and is completed.")
    verb = "would be written" if dry_run else "written"
    say(
        f"{result.new:,} new and {result.changed:,} changed {unit} {verb}, {result.same:,} "
        f"were there already, {len(result.failed):,} left out."
    )
    if result.removed:
        say(f"{result.removed:,} others were removed.")
    elif result.other:
        say(f"{result.other:,} others are in the folder; --prune removes them.")
