"""Serves Dagster's page: `python -m ytcaption_assets.webserver.server WORKSPACE_YAML PORT`.

In place of `dagster-webserver`: the same app in our own process, behind `guard`.
"""

import logging
import sys

import uvicorn
from dagster_webserver.version import __version__

from resources.http_server.connections import ConnectionLimits, raise_descriptor_limit
from resources.http_server.uvicorn_protocol import BoundedHttp
from resources.orchestration.dagster_internals import (
    WorkspaceFileTarget,
    WorkspaceProcessContext,
    get_instance_for_cli,
    setup_interrupt_handlers,
)
from resources.telemetry.logs import log_handler
from ytcaption.settings.settings import Settings, load_settings
from ytcaption_assets.webserver.guard import Guard
from ytcaption_assets.webserver.page import dagster_app
from ytcaption_assets.webserver.sessions import Sessions

HOST = "127.0.0.1"
"""Others reach the page through a proxy on this machine: it speaks plain HTTP."""

_STATEMENT_MS, _RECYCLE_S, _OVERFLOW = 15_000, 3_600, 20
"""Limits of database connections: the defaults of `dagster-webserver`."""

_STOP_S = 2


def main(workspace: str, port: int, settings: Settings | None = None) -> None:
    """Serve the page until SIGTERM or SIGINT."""
    setup_interrupt_handlers()
    settings = settings or load_settings()
    logging.basicConfig(
        level=logging.WARNING, handlers=[log_handler(settings.operation.log_format)], force=True
    )
    raise_descriptor_limit()
    read_only = settings.operation.webserver_read_only
    with get_instance_for_cli() as instance:
        instance.optimize_for_webserver(_STATEMENT_MS, _RECYCLE_S, _OVERFLOW)
        with WorkspaceProcessContext(
            instance,
            WorkspaceFileTarget([workspace]),
            version=__version__,
            read_only=read_only,
            code_server_log_level="WARNING",
        ) as context:
            app = dagster_app(
                context, ConnectionLimits.from_settings(settings), read_only=read_only
            )
            guard = Guard(app, Sessions(settings), settings.operation.webserver_url)
            uvicorn.run(
                guard,
                host=HOST,
                port=port,
                http=BoundedHttp,
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_STOP_S,
            )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
