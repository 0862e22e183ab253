"""Readiness probes: how each dependency of the API is checked."""

import os
from collections.abc import Callable
from pathlib import Path

from resources.object_store.store import ObjectStore, document_key
from resources.orchestration.orchestrator import Orchestrator
from resources.postgres.connection import Postgres
from ytcaption.domain.errors import YtcaptionError

_REASONS = {
    "database_unavailable": "the database does not answer",
    "object_store_unavailable": "the object store does not answer",
    "disk_full": "the disk is full",
    "setup_error": "it is not set up: run `ytcaption migrate`",
}
"""In fixed words: an error's message may name hosts or folders."""

_NEVER_WRITTEN = document_key("readiness")


def probes(
    postgres: Postgres, object_store: ObjectStore, orchestrator: Orchestrator
) -> dict[str, Callable[[], str | None]]:
    """Return `{dependency: probe}` for `Readiness`."""

    def check_postgres() -> str | None:
        with postgres.transaction() as connection:
            connection.execute("select 1 from ytcaption.transcription limit 1")
        return None

    def check_object_store() -> str | None:
        if (folder := object_store.folder) is not None and (reason := _unusable(folder)):
            return reason
        object_store.exists(_NEVER_WRITTEN)
        return None

    return {
        "postgres": lambda: _reason(check_postgres),
        "object_store": lambda: _reason(check_object_store),
        "dagster_storage": orchestrator.problem,
    }


def _reason(check: Callable[[], str | None]) -> str | None:
    try:
        return check()
    except YtcaptionError as error:
        return _REASONS.get(error.code, f"it failed with {error.code}")


def _unusable(folder: Path) -> str | None:
    """Return why a folder, which is created with the first file, cannot be used."""
    existing = next((path for path in (folder, *folder.parents) if path.exists()), None)
    if existing is None or not existing.is_dir():
        return "its folder is not a folder"
    if not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        return "its folder cannot be read and written"
    return None
