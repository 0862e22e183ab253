"""`ytcaption export`: write transcripts to a folder."""

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
    from ytcaption.settings.settings import Settings

_SHOWN = 10
_MOST_IDS = 10_000_000
_LEAST_RATE, _MOST_RATE = 8_000, 48_000


class ExportKind(StrEnum):
    """What an export writes."""

    CAPTIONS = "captions"
    PARQUET = "parquet"
    AUDIOFOLDER = "audiofolder"
    LJSPEECH = "ljspeech"


def export(
    folder: Annotated[Path, typer.Argument(help="A new folder, or one with an earlier export.")],
    kind: Annotated[
        ExportKind,
        typer.Option(
            "--as",
            help="Caption files, Parquet tables, or clips of speech with their text as a Hugging "
            "Face (audiofolder) or LJSpeech data set.",
        ),
    ] = ExportKind.CAPTIONS,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="Caption formats: srt, vtt, txt, md, json, tsv or ass."),
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Name or id of a channel.")] = None,
    language: Annotated[str | None, typer.Option(help="Language code, such as en.")] = None,
    since: Annotated[str | None, typer.Option(help="First day of publication.")] = None,
    until: Annotated[str | None, typer.Option(help="Last day of publication.")] = None,
    query: Annotated[
        str | None,
        typer.Option(
            help="SELECT (docs/reference/lake.md) whose first column is transcription ids."
        ),
    ] = None,
    versions: Annotated[
        bool, typer.Option("--versions", help="All versions of a media item, not only the newest.")
    ] = False,
    min_s: Annotated[float, typer.Option(min=0.1, help="Shortest clip, in seconds.")] = 1.0,
    max_s: Annotated[float, typer.Option(min=0.5, help="Longest clip, in seconds.")] = 20.0,
    sample_rate: Annotated[
        int | None,
        typer.Option(
            min=_LEAST_RATE,
            max=_MOST_RATE,
            help="Sample rate of the clips, in Hz.",
            show_default="16000; ljspeech: 22050",
        ),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove exported files that no longer match.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be written.")
    ] = False,
) -> None:
    """Write transcripts to a folder; a repeated export writes only new and changed ones.

    Exit status: 0 everything is exported, 1 some failed, each with its reason, 2 wrong usage.
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
            kind,
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
    _print_result(
        result,
        found,
        ids,
        "files" if kind is ExportKind.PARQUET else "transcriptions",
        console,
        dry_run=dry_run,
    )
    raise typer.Exit(1 if result.failed else 0)


def _exporting(
    kind: ExportKind,
    found: "Sequence[SelectedTranscription]",
    settings: "Settings",
    catalog: "TranscriptCatalog",
    formats: Sequence[str] | None,
    *,
    min_s: float,
    max_s: float,
    sample_rate: int | None,
) -> "tuple[Sequence[Any], Exporter[Any]]":
    """Return the items to export, and the exporter that writes each of them.

    Raises:
        InvalidOption: options contradict each other.
    """
    from resources.export.captions import CaptionExport
    from resources.export.dataset import DatasetExport
    from resources.export.parquet import ParquetExport, parts
    from ytcaption.domain.captions.formats import caption_formats
    from ytcaption.domain.errors import InvalidOption

    if formats and kind is not ExportKind.CAPTIONS:
        raise InvalidOption("--format applies to --as captions only.")
    if kind is ExportKind.PARQUET:
        return parts(found), ParquetExport(catalog)
    if kind is ExportKind.CAPTIONS:
        return found, CaptionExport(settings, caption_formats(formats or ["srt", "vtt", "txt"]))
    if min_s > max_s:
        raise InvalidOption("--min-s is greater than --max-s.")
    exporter = DatasetExport(
        settings, kind.value, min_s=min_s, max_s=max_s, sample_rate_hz=sample_rate
    )
    return found, exporter


def _ids(catalog: "TranscriptCatalog", query: str) -> list[str]:
    from ytcaption.domain.errors import QueryError

    result = catalog.query(query, limit=_MOST_IDS)
    ids = result.table.column(0).to_pylist() if result.table.num_columns else []
    if not all(isinstance(id, str) for id in ids):
        raise QueryError("The first column of the query is not a transcription_id.")
    return ids


def _day(text: str | None) -> str | None:
    from ytcaption.domain.errors import InvalidOption

    try:
        return date.fromisoformat(text).isoformat() if text else None
    except ValueError as error:
        raise InvalidOption(f"{text!r} is not a date. Write it as 2026-11-24.") from error


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


def _print_result(
    result: "ExportResult",
    found: "Sequence[SelectedTranscription]",
    ids: Sequence[str] | None,
    unit: str,
    console: "Console",
    *,
    dry_run: bool,
) -> None:
    """Print the counts and each failure with its reason on standard error."""
    titles = {one.id: one.title or one.media_id for one in found}
    say = partial(console.print, markup=False, soft_wrap=True)
    for id, why in list(result.failed.items())[:_SHOWN]:
        say(f"Not exported: {printable(titles[id])} ({id}): {why}")
    if len(result.failed) > _SHOWN:
        say(f"... and {len(result.failed) - _SHOWN:,} more.")
    missing = len(set(ids or ()) - titles.keys())
    if missing:
        say(f"{missing:,} ids of the query match no completed transcription.")
    verb = "would be written" if dry_run else "written"
    say(
        f"{result.new:,} new and {result.changed:,} changed {unit} {verb}, {result.same:,} "
        f"unchanged, {len(result.failed):,} failed."
    )
    if result.removed:
        say(f"{result.removed:,} no longer match and were removed.")
    elif result.other:
        say(f"{result.other:,} in the folder no longer match; --prune removes them.")
