"""Dagster's own web app on an empty workspace."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
from starlette.types import ASGIApp

from resources.http_server.connections import ConnectionLimits
from resources.orchestration.dagster_internals import WorkspaceProcessContext
from ytcaption_assets.webserver.page import dagster_app

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

    def reset(self) -> None:
        """Undo `SET_POOL`."""
        self.instance.event_log_storage.delete_concurrency_limit(POOL)


@contextmanager
def dagster_page(*, read_only: bool) -> Iterator[DagsterPage]:
    """Yield the page without a guard."""
    with (
        dg.instance_for_test() as instance,
        WorkspaceProcessContext(instance, None, version="1", read_only=read_only) as context,
    ):
        app = dagster_app(context, ConnectionLimits(), read_only=read_only)
        yield DagsterPage(app, instance)
