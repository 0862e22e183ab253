"""Listing runs that are over, and the channels that they have left claimed."""

import dagster as dg

from resources.channel_runs import ChannelRuns
from resources.dagster_runs import kill_run
from resources.lost_runs import SILENT_S
from resources.request_rows import LostRun


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
