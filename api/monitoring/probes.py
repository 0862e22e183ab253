"""How each part the API stands on is asked whether it answers."""

import os
from collections.abc import Callable
from pathlib import Path

from resources.object_store.store import ObjectStore, document_key
from resources.orchestration.orchestrator import Orchestrator
from resources.postgres.connection import Postgres
from ytcaption.domain.errors import YtcaptionError

_CAUSES = {
    "database_unavailable": "the database does not answer",
    "object_store_unavailable": "the object store does not answer",
    "disk_full": "the disk is full",
    "setup_error": "it is not set up: run `ytcaption migrate`",
}
"""In our own words: an error's message may name hosts or folders (rule 13)."""

_NEVER_WRITTEN = document_key("readiness")


def probes(
    postgres: Postgres, object_store: ObjectStore, orchestrator: Orchestrator
) -> dict[str, Callable[[], str | None]]:
    """`{part: probe}` for Readiness."""

    def ask_postgres() -> str | None:
        with postgres.transaction() as connection:
            connection.execute("select 1 from ytcaption.transcription limit 1")
        return None

    def ask_object_store() -> str | None:
        if (folder := object_store.folder) is not None and (cause := _unusable(folder)):
            return cause
        object_store.exists(_NEVER_WRITTEN)
        return None

    return {
        "postgres": lambda: _cause(ask_postgres),
        "object_store": lambda: _cause(ask_object_store),
        "dagster_storage": orchestrator.problem,
    }


def _cause(ask: Callable[[], str | None]) -> str | None:
    try:
        return ask()
    except YtcaptionError as error:
        return _CAUSES.get(error.code, f"it failed with {error.code}")


def _unusable(folder: Path) -> str | None:
    """Why a folder, which is made when the first file is written, cannot be used."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), None)
    if there is None or not there.is_dir():
        return "its folder is no folder"
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
        return "its folder may not be read and written"
    return None
