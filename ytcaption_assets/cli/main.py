"""The `ytcaption` command."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ytcaption.domain.errors import InputError, QueryError, YtcaptionError
from ytcaption_assets.cli.admin import commands as admin
from ytcaption_assets.cli.admin import keys
from ytcaption_assets.cli.admin.backup import backup, restore
from ytcaption_assets.cli.admin.doctor import doctor
from ytcaption_assets.cli.admin.migrate import migrate
from ytcaption_assets.cli.admin.replay import replay
from ytcaption_assets.cli.admin.upgrade_database import upgrade_database
from ytcaption_assets.cli.channels import commands as channels
from ytcaption_assets.cli.library import lake
from ytcaption_assets.cli.library.embed import embed
from ytcaption_assets.cli.library.export import export
from ytcaption_assets.cli.library.report import report
from ytcaption_assets.cli.library.retranscribe import retranscribe
from ytcaption_assets.cli.library.search import search
from ytcaption_assets.cli.library.sql import sql
from ytcaption_assets.cli.models import commands as models
from ytcaption_assets.cli.models.bench_model import bench_model
from ytcaption_assets.cli.terminal_text import printable
from ytcaption_assets.cli.up.notifier import notifier
from ytcaption_assets.cli.up.status import status
from ytcaption_assets.cli.up.up import up
from ytcaption_assets.cli.up.worker import worker

app = typer.Typer(
    help="Captions and a searchable transcript for every video, file and channel.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",  # paragraphs of docstrings are wrapped to the terminal
)

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def _print_version(is_requested: bool) -> None:
    if is_requested:
        from importlib.metadata import version

        sys.stdout.write(f"ytcaption {version('ytcaption')}\n")
        raise typer.Exit


@app.callback()
def global_options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    settings_file: Annotated[
        Path | None,
        typer.Option(
            "--settings-file",
            help="File with settings, lines VARIABLE=value; default: YTCAPTION_SETTINGS_FILE, or "
            "`.env` in the home.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Take the options that stand before a command."""
    from ytcaption.settings.settings_file import VARIABLE, unread_file

    if settings_file is not None:
        os.environ[VARIABLE] = str(settings_file.expanduser().absolute())
    if warning := unread_file():
        sys.stderr.write(f"ytcaption: {warning}.\n")


def transcribe(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="URLs or files; the bundled sample if none is given.",
            show_default=False,
        ),
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="A code or name, such as en or German; default: detected.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="See `ytcaption models list`.")] = None,
    task: Annotated[
        str, typer.Option(help="transcribe, or translate (into English).")
    ] = "transcribe",
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="srt, vtt, txt, json, tsv, ass or md; can be repeated."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the caption files.")] = Path("captions"),
    force: Annotated[
        bool, typer.Option("--force", help="Download and transcribe again, even if stored.")
    ] = False,
    initial_prompt: Annotated[
        str | None,
        typer.Option(help="Text to prime the model with: names, spelling and style to follow."),
    ] = None,
    hotwords: Annotated[
        str | None, typer.Option(help="Words that the model should expect.")
    ] = None,
    captions: Annotated[
        str,
        typer.Option(
            help="Use of the source's own captions: prefer (those made by people; otherwise "
            "transcribe the audio), prefer_any (automatic captions, too), never, or only."
        ),
    ] = "prefer",
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Transcribe on this server, such as http://127.0.0.1:8000, with the API key in "
            "YTCAPTION_API_KEY.",
        ),
    ] = None,
) -> None:
    """Transcribe URLs and files, on this machine or on a server.

    Writes caption files to a folder, the transcript to standard output and messages to standard
    error. Exit status: 0 all succeeded, 1 some failed (each with its reason), 2 wrong usage.
    """
    from ytcaption.domain.captions.formats import caption_formats
    from ytcaption.domain.request import checked_captions, checked_options, checked_task
    from ytcaption.settings.settings import load_settings
    from ytcaption_assets.cli.transcribe.captions_folder import check_folder

    settings = load_settings()
    chosen_formats = caption_formats(formats or ["srt", "vtt", "json"])
    check_folder(output)
    if server is not None:
        from ytcaption.client.options import RequestOptions
        from ytcaption_assets.cli.transcribe.remote import transcribe_at_server

        request = RequestOptions(
            language=language,
            model=model,
            task=checked_task(task),
            initial_prompt=initial_prompt,
            hotwords=hotwords,
            captions=checked_captions(captions) if captions != "prefer" else None,
        )
        raise typer.Exit(
            transcribe_at_server(
                server,
                sources or [],
                request,
                chosen_formats,
                output,
                settings=settings,
                force=force,
            )
        )
    options = checked_options(
        model=model or settings.speech.model,
        allowed_models=settings.speech.models,
        language=language,
        task=task,
        initial_prompt=initial_prompt,
        hotwords=hotwords,
        captions=captions,
    )
    from ytcaption_assets.cli.transcribe.local import transcribe_sources  # seconds: after checks

    raise typer.Exit(
        transcribe_sources(
            sources or [], options, chosen_formats, output, settings=settings, force=force
        )
    )


def settings(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the page docs/reference/settings.md.")
    ] = False,
) -> None:
    """Show all settings with their current values."""
    from rich.console import Console

    from ytcaption.settings.settings import load_settings
    from ytcaption_assets.cli.settings_table import print_settings, settings_markdown

    if markdown:
        sys.stdout.write(settings_markdown())
    else:
        print_settings(load_settings(), Console())


def _add(heading: str, *commands: Callable[..., None], **groups: typer.Typer) -> None:
    """Add commands, then groups of commands by name, under a heading of the help."""
    for command in commands:
        app.command(rich_help_panel=heading)(command)
    for name, group in groups.items():
        app.add_typer(group, name=name, rich_help_panel=heading)


_add("Transcribe", transcribe, up, status, channels=channels.app)
_add("Use the library", search, sql, export, report, retranscribe, embed, lake=lake.app)
_add(
    "Operate",
    *(settings, doctor, backup, restore, migrate, upgrade_database, replay),
    keys=keys.app,
    admin=admin.app,
)
_add("Models and processes", bench_model, worker, notifier, models=models.app)


def run() -> None:
    """Run the command; report a known error as one sentence and an exit status."""
    try:
        app()
    except YtcaptionError as error:
        sys.stderr.write(f"ytcaption: {printable(error.message)}\n")
        is_usage = isinstance(error, InputError | QueryError)  # a retry cannot succeed
        sys.exit(EXIT_USAGE if is_usage else EXIT_FAILED)
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        from resources.shortages import shortage_of

        if (shortage := shortage_of(error)) is None:
            raise
        sys.stderr.write(f"ytcaption: {printable(shortage.message)}\n")
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.stderr.write("ytcaption: stopped. Run the command again to continue.\n")
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    run()
