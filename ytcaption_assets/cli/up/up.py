"""The command `ytcaption up`."""

from typing import Annotated

import typer


def up(
    host: Annotated[
        str | None,
        typer.Option(help="Address on which the API listens.", show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port of the API; 0: any.", show_default=False),
    ] = None,
    webserver: Annotated[
        bool, typer.Option("--webserver/--no-webserver", help="Also run Dagster's web page.")
    ] = True,
) -> None:
    """Run everything: Postgres, Dagster's code server, daemon and web page, workers and the API.

    Ctrl-C stops all processes, a second Ctrl-C kills them. The defaults of the options are
    YTCAPTION_API_HOST and YTCAPTION_API_PORT. Exit status: 0 stopped, 1 a process could not run.
    """
    from rich.console import Console

    from ytcaption.settings.settings import load_settings
    from ytcaption_assets.cli.up.serve import serve

    given = {"api_host": host, "api_port": port}
    settings = load_settings().changed(
        **{name: value for name, value in given.items() if value is not None}
    )
    serve(settings, Console(), webserver=webserver)
