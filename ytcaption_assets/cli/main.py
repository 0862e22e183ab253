"""The `ytcaption` command."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ytcaption.domain.errors import InputError, QueryError, YtcaptionError
from ytcaption_assets.cli.admin import commands as admin
from ytcaption_assets.cli.admin import keys
from ytcaption_assets.cli.admin.backup import backup, restore
from ytcaption_assets.cli.admin.doctor import doctor
from ytcaption_assets.cli.admin.replay import replay
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
from ytcaption_assets.cli.up.notifier import notifier
from ytcaption_assets.cli.up.status import status
from ytcaption_assets.cli.up.up import up
from ytcaption_assets.cli.up.worker import worker

app = typer.Typer(
    help="Captions and a searchable transcript for every video, file and channel.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.command()(up)
app.command()(status)
app.command()(sql)
app.command()(export)
app.command()(report)
app.command()(retranscribe)
app.command()(search)
app.command()(embed)
app.command()(bench_model)
app.command()(worker)
app.command()(notifier)
app.command()(replay)
app.command()(doctor)
app.command()(backup)
app.command()(restore)
app.add_typer(channels.app, name="channels")
app.add_typer(keys.app, name="keys")
app.add_typer(admin.app, name="admin")
app.add_typer(models.app, name="models")
app.add_typer(lake.app, name="lake")

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


@app.command()
def transcribe(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SOURCE]...",
            help="Links or files; without one, the bundled sample.",
            show_default=False,
        ),
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="Such as en or German; detected when left out.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="See `ytcaption models list`.")] = None,
    task: Annotated[
        str, typer.Option(help="transcribe, or translate into English.")
    ] = "transcribe",
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="srt, vtt, txt, json, tsv, ass or md; may be repeated."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("captions"),
    force: Annotated[bool, typer.Option("--force", help="Fetch and transcribe anew.")] = False,
    initial_prompt: Annotated[
        str | None, typer.Option(help="Text said to have gone before: names, spelling, style.")
    ] = None,
    hotwords: Annotated[str | None, typer.Option(help="Words to expect.")] = None,
    captions: Annotated[
        str,
        typer.Option(
            help="Captions that the source has: prefer (those that people made, else the audio is "
            "heard), prefer_any (automatic ones, too), never, or only."
        ),
    ] = "prefer",
    server: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Have a server make them, such as http://127.0.0.1:8000; "
            "its key in YTCAPTION_API_KEY.",
        ),
    ] = None,
) -> None:
    """Captions of links and files, made on this machine or by a server.

    The transcript goes to standard output, everything else to standard error. Exit status: 0 all
    done, 1 some failed, each with its reason, 2 wrong usage.
    """
    from ytcaption.domain.captions.formats import caption_formats
    from ytcaption.domain.request import checked_captions, checked_options, checked_task
    from ytcaption.settings import load_settings

    settings = load_settings()
    chosen = caption_formats(formats or ["srt", "vtt", "json"])
    if server is not None:
        from ytcaption.client.options import RequestOptions
        from ytcaption_assets.cli.transcribe.remote import transcribe_at_server

        asked = RequestOptions(
            language=language,
            model=model,
            task=checked_task(task),
            initial_prompt=initial_prompt,
            hotwords=hotwords,
            captions=checked_captions(captions) if captions != "prefer" else None,
        )
        raise typer.Exit(
            transcribe_at_server(
                server, sources or [], asked, chosen, output, settings=settings, force=force
            )
        )
    from ytcaption_assets.cli.transcribe.local import transcribe_sources

    options = checked_options(
        model=model or settings.model,
        allowed_models=settings.models,
        language=language,
        task=task,
        initial_prompt=initial_prompt,
        hotwords=hotwords,
        captions=captions,
    )
    raise typer.Exit(
        transcribe_sources(sources or [], options, chosen, output, settings=settings, force=force)
    )


@app.command()
def migrate() -> None:
    """Brings the database up to date; `up` and `transcribe` do so by themselves."""
    from resources.postgres.embedded import running_postgres
    from resources.postgres.migrate import migrate as bring_up_to_date
    from ytcaption.settings import load_settings

    settings = load_settings()
    with running_postgres(settings):
        bring_up_to_date(settings)


@app.command()
def settings(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="As the documentation has it.")
    ] = False,
) -> None:
    """All settings, with the values in force."""
    from rich.console import Console

    from ytcaption.settings import load_settings
    from ytcaption_assets.cli.settings_table import print_settings, settings_markdown

    if markdown:
        sys.stdout.write(settings_markdown())
    else:
        print_settings(load_settings(), Console())


def run() -> None:
    """Entry point: every known error is one sentence and an exit status."""
    try:
        app()
    except YtcaptionError as error:
        sys.stderr.write(f"ytcaption: {error.message}\n")
        is_usage = isinstance(error, InputError | QueryError)  # asking again changes nothing
        sys.exit(EXIT_USAGE if is_usage else EXIT_FAILED)
    except KeyboardInterrupt:
        sys.stderr.write("ytcaption: stopped. Ask again to go on.\n")
        sys.exit(EXIT_INTERRUPTED)


if __name__ == "__main__":
    run()
