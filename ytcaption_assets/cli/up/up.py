"""The command `ytcaption up`."""

from typing import Annotated

import typer


def up(
    host: Annotated[
        str | None,
        typer.Option(help="Address of the API, of this machine only.", show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port of the API; 0 is any.", show_default=False),
    ] = None,
    webserver: Annotated[
        bool, typer.Option("--webserver/--no-webserver", help="Dagster's web page, too.")
    ] = True,
) -> None:
    """Runs everything: Postgres, Dagster's code server, daemon and web page, and the API.

    Ctrl-C stops it all, a second Ctrl-C at once. Exit status: 0 stopped, 1 something could not run.
    Without options YTCAPTION_API_HOST and YTCAPTION_API_PORT hold.
    """
    from rich.console import Console

    from ytcaption.settings import load_settings
    from ytcaption_assets.cli.up.serve import serve

    given = {"api_host": host, "api_port": port}
    settings = load_settings().model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    serve(settings, Console(), webserver=webserver)
