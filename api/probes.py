"""How each part the API stands on is asked whether it answers."""

from collections.abc import Callable

from resources.object_store import ObjectStore, document_key

from resources.orchestrator import Orchestrator
from resources.postgres import Postgres
from ytcaption_assets.domain.errors import YtcaptionError

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

    def ask_postgres() -> None:
        with postgres.transaction() as connection:
            connection.execute("select 1 from ytcaption.transcription limit 1")

    def ask_object_store() -> None:
        object_store.exists(_NEVER_WRITTEN)

    return {
        "postgres": lambda: _cause(ask_postgres),
        "object_store": lambda: _cause(ask_object_store),
        "dagster_storage": orchestrator.problem,
    }


def _cause(ask: Callable[[], None]) -> str | None:
    try:
        ask()
    except YtcaptionError as error:
        return _CAUSES.get(error.code, f"it failed with {error.code}")
    return None
