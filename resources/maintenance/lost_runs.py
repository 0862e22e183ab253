"""Ends runs whose process was lost, and settles what they had claimed."""

from collections.abc import Sequence

import dagster as dg

from resources.channels.runs import ChannelRuns
from resources.orchestration.run_end import LOST
from resources.orchestration.runs import kill_run
from resources.orchestration.tags import RUN_KEY_TAG
from resources.postgres.connection import Postgres
from resources.transcriptions.rows import LostRun
from resources.transcriptions.run_settlement import settle_attempt, settle_silent

SILENT_S = 60.0
"""A run that has sent no heartbeat for this long is considered dead:
docs/adr/security-rules.md#rule-35"""

_BATCH = 500


def end_lost_runs(
    instance: dg.DagsterInstance,
    postgres: Postgres,
    max_attempts: int,
    silent_s: float = SILENT_S,
) -> list[LostRun]:
    """Settle the transcriptions of silent runs, end those runs, and free their slots. Return the
    runs."""
    lost = settle_silent(postgres, silent_s, max_attempts)
    _end(instance, lost)
    return lost


def end_lost_listings(
    instance: dg.DagsterInstance, runs: ChannelRuns, silent_s: float = SILENT_S
) -> list[LostRun]:
    """Free the channels of silent runs, end those runs, and free their slots. Return the runs."""
    lost = list(runs.settle_silent(silent_s))
    _end(instance, lost)
    return lost


def _end(instance: dg.DagsterInstance, lost: Sequence[LostRun]) -> None:
    """End runs in Dagster, with their processes if these only hang."""
    for each in lost:
        run = instance.get_run_by_id(each.run_id)
        if run is not None:
            _, message = LOST
            kill_run(instance, run, message, canceled=False)
        else:
            instance.event_log_storage.free_concurrency_slots_for_run(each.run_id)


def runs_by_key(instance: dg.DagsterInstance, keys: Sequence[str]) -> dict[str, dg.RunRecord]:
    """Return the runs that Dagster has of these run keys, by key."""
    records: list[dg.RunRecord] = []
    for start in range(0, len(keys), _BATCH):
        tags = {RUN_KEY_TAG: list(keys[start : start + _BATCH])}
        records += instance.get_run_records(dg.RunsFilter(tags=tags))
    return {record.dagster_run.tags[RUN_KEY_TAG]: record for record in records}


def settle_unbegun(postgres: Postgres, id: str, attempt: int, max_attempts: int) -> bool:
    """Count an attempt whose run ended before it claimed the transcription. Return whether it had
    not been counted."""
    status = settle_attempt(
        postgres,
        id,
        attempt,
        "run_not_started",
        "The run ended before it began. Its log in the Dagster UI says why.",
        True,
        max_attempts,
    )
    return status is not None
