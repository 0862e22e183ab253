"""Dagster's own web app on an empty workspace, behind our guard or without it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
from starlette.types import ASGIApp

from resources.http_server.connections import ConnectionLimits
from resources.orchestration.dagster_internals import WorkspaceProcessContext
from ytcaption.settings.settings import Settings
from ytcaption_assets.webserver.guard import Guard
from ytcaption_assets.webserver.page import dagster_app
from ytcaption_assets.webserver.sessions import Sessions

POOL = "download"
SET_POOL = f'mutation {{ setConcurrencyLimit(concurrencyKey: "{POOL}", limit: 9) }}'


@dataclass
class DagsterPage:
    """The app and what it could change.

    Attributes:
        app: the ASGI application.
        instance: Dagster's instance, on SQLite.
    """

    app: ASGIApp
    instance: dg.DagsterInstance

    @property
    def has_changed(self) -> bool:
        """Whether `SET_POOL` was executed."""
        return POOL in self.instance.event_log_storage.get_concurrency_keys()


@contextmanager
def dagster_page(
    settings: Settings, *, guarded: bool = True, read_only: bool = True, url: str | None = None
) -> Iterator[DagsterPage]:
    """Yield the page as `up` serves it, or as Dagster's own server does."""
    with (
        dg.instance_for_test() as instance,
        WorkspaceProcessContext(instance, None, version="", read_only=read_only) as context,
    ):
        app: ASGIApp = dagster_app(context, ConnectionLimits(), read_only=read_only)
        if guarded:
            app = Guard(app, Sessions(settings), url)
        yield DagsterPage(app, instance)
