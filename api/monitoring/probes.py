"""Readiness probes: how each dependency of the API is checked."""

import os
from collections.abc import Callable
from pathlib import Path

from api.monitoring.readiness import CHECK_TIMEOUT_S
from resources.maintenance.standstill import standstills
from resources.object_store.store import ObjectStore, document_key
from resources.orchestration.orchestrator import Orchestrator
from resources.postgres.connection import Postgres
from resources.postgres.time_budget import answer_within, hang_noticed_within
from ytcaption.domain.errors import YtcaptionError
from ytcaption.settings.settings import Settings

_REASONS = {
    "database_unavailable": "the database does not answer",
    "database_read_only": "the database accepts no changes",
    "object_store_unavailable": "the object store does not answer",
    "disk_full": "the disk is full",
    "setup_error": "it is not set up: run `ytcaption migrate`",
}
"""In fixed words: an error's message may name hosts or folders."""

_NEVER_WRITTEN = document_key("readiness")


def probes(
    settings: Settings, postgres: Postgres, object_store: ObjectStore, orchestrator: Orchestrator
) -> dict[str, Callable[[], str | None]]:
    """Return `{dependency: probe}` for `Readiness`."""

    def check_postgres() -> str | None:
        # In its own time: a hung probe would not be started again after the server is back.
        with answer_within(CHECK_TIMEOUT_S):
            rows = postgres.rows(
                "select current_setting('transaction_read_only') = 'on' as is_read_only, "
                "(select 1 from ytcaption.transcription limit 1)",
                {},
            )
        return _REASONS["database_read_only"] if rows[0]["is_read_only"] else None

    def check_object_store() -> str | None:
        if (folder := object_store.folder) is not None and (reason := _unusable(folder)):
            return reason
        object_store.exists(_NEVER_WRITTEN)
        return None

    def check_pipeline() -> str | None:
        with hang_noticed_within(CHECK_TIMEOUT_S):
            found = standstills(settings, postgres, orchestrator.ticks(settings))
        return " ".join(each.reason for each in found if each.is_fault) or None

    return {
        "postgres": lambda: _reason(check_postgres),
        "object_store": lambda: _reason(check_object_store),
        "dagster_storage": orchestrator.problem,
        "pipeline": lambda: _reason(check_pipeline),
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
