"""`ytcaption lake verify`: is the lake what the documents say?"""

from typing import Annotated

import typer

app = typer.Typer(help="The Parquet tables behind `ytcaption sql`.", no_args_is_help=True)


@app.callback()
def lake() -> None:
    """The Parquet tables behind `ytcaption sql`."""


@app.command()
def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Rebuild what is wrong.")] = False,
) -> None:
    """Reads every file of the lake and compares every row with the transcript documents.

    Exit status: 0 all is well or has been repaired, 1 something is wrong.
    """
    from rich.console import Console

    from resources.embedded_postgres import running_postgres
    from resources.migrate import migrate
    from resources.object_store import ObjectStore
    from resources.request_store import RequestStore
    from resources.transcript_catalog import TranscriptCatalog
    from ytcaption_assets.domain.errors import MediaNotFound, TranscriptionNotFound
    from ytcaption_assets.domain.media import MediaInfo, MediaSource
    from ytcaption_assets.domain.transcript import Transcript
    from ytcaption_assets.settings import load_settings

    settings = load_settings()
    console = Console(highlight=False)
    with running_postgres(settings):
        migrate(settings)
        store = RequestStore.from_settings(settings, role="dagster")
        object_store = ObjectStore.from_settings(settings)

        def document(key: str) -> tuple[Transcript, MediaSource, MediaInfo] | None:
            try:
                row = store.get(key)
                media = store.media(row.media_id)
            except (TranscriptionNotFound, MediaNotFound):
                return None
            if row.document_key is None:
                return None
            data = object_store.read_bytes(row.document_key, row.document_sha256)
            return Transcript.from_json(data), media.source, media.info

        with console.status("Reading the lake"):
            report = TranscriptCatalog.from_settings(settings).verify(
                store.completed_ids, document, repair=repair
            )
    console.print(f"{report.file_count} files, {report.transcription_count} transcriptions")
    wrong = {
        "damaged files": report.damaged_files,
        "different from their document": report.different,
        "without a document": report.orphaned,
        "whose document cannot be read": tuple(report.unreadable),
    }
    for what, names in wrong.items():
        if names:
            console.print(f"{len(names)} {what}: {', '.join(names[:5])}", markup=False)
    if report.is_repaired and any(wrong.values()):
        console.print("Repaired.")
    left = report.unreadable if report.is_repaired else any(wrong.values())
    raise typer.Exit(int(bool(left)))
