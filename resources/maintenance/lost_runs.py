"""Listing runs that are over, and the channels that they have left claimed."""

from collections.abc import Sequence

import dagster as dg

from resources.channels.runs import ChannelRuns
from resources.orchestration.runs import RUN_KEY_TAG, kill_run
from resources.transcriptions.rows import LostRun
from resources.transcriptions.store import RequestStore

SILENT_S = 60.0
"""A run that has given no sign of life for so long is taken for dead (rule 35)."""

_BATCH = 500


def end_lost_runs(
    instance: dg.DagsterInstance,
    request_store: RequestStore,
    max_attempts: int,
    silent_s: float = SILENT_S,
) -> list[LostRun]:
    """Settles transcriptions whose run has gone silent; ends those runs, with their processes where
    they only hang, and frees their slots."""
    lost_runs = request_store.settle_silent(silent_s, max_attempts)
    for lost in lost_runs:
        run = instance.get_run_by_id(lost.run_id)
        if run is not None:
            kill_run(instance, run, "The run's process was lost.", canceled=False)
        else:
            instance.event_log_storage.free_concurrency_slots_for_run(lost.run_id)
    return lost_runs


def runs_by_key(instance: dg.DagsterInstance, keys: Sequence[str]) -> dict[str, dg.RunRecord]:
    """The runs that Dagster has of these run keys."""
    records: list[dg.RunRecord] = []
    for start in range(0, len(keys), _BATCH):
        tags = {RUN_KEY_TAG: list(keys[start : start + _BATCH])}
        records += instance.get_run_records(dg.RunsFilter(tags=tags))
    return {record.dagster_run.tags[RUN_KEY_TAG]: record for record in records}


def settle_unbegun(request_store: RequestStore, id: str, attempt: int, max_attempts: int) -> bool:
    """Count an attempt whose run ended before it claimed the transcription; whether it was so."""
    settled = request_store.settle_attempt(
        id,
        attempt,
        "run_not_started",
        "The run ended before it began. Its log in the Dagster UI says why.",
        True,
        max_attempts,
    )
    return settled is not None


def end_lost_listings(
    instance: dg.DagsterInstance, runs: ChannelRuns, silent_s: float = SILENT_S
) -> list[LostRun]:
    """Frees channels whose run has gone silent; ends those runs, with their processes where they
    only hang, and frees their slots."""
    lost = list(runs.settle_silent(silent_s))
    for each in lost:
        run = instance.get_run_by_id(each.run_id)
        if run is not None:
            kill_run(instance, run, "The run's process was lost.", canceled=False)
        else:
            instance.event_log_storage.free_concurrency_slots_for_run(each.run_id)
    return lost
