"""Channels that are due -> partitions and runs of `channel_listing`."""

import time

import dagster as dg

from resources.channels.due import (
    DUE_TAG,
    DueChannel,
    channel_ids,
    due_channels,
    due_time,
    late_channels,
    next_due_in_s,
)
from resources.channels.runs import ChannelRuns
from resources.channels.store import CHANNELS_CHANNEL
from resources.maintenance.lost_runs import end_lost_listings, runs_by_key
from resources.orchestration.partitions import channel_partitions
from resources.orchestration.pauses import paused_parts
from resources.orchestration.tags import CHANNEL_TAG
from sensors.channel_freshness_check import evaluation
from sensors.jobs import list_channel_job
from ytcaption.domain.request import short_hash
from ytcaption.settings import load_settings

AHEAD = 2
"""Listing runs in Dagster's queue, at most, by those that work at once: the rest waits in Postgres,
its order decided anew each tick."""

WAIT_S = 25.0
"""How long a tick that finds nothing listens: the daemon would not come back for 5 s."""

FULL_S = 2.0
"""How long a tick waits where that queue is full."""

PRIORITY = "500"
"""In Dagster's queue: after what somebody waits for, before what is done in bulk."""

_PARTITIONS = channel_partitions.name or ""


@dg.sensor(
    target=list_channel_job,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes a partition of each channel and a run of each that is due; "
    "frees what a lost process left; says which channel is late.",
)
def channel_sensor(
    context: dg.SensorEvaluationContext, channel_runs: ChannelRuns
) -> dg.SensorResult | dg.SkipReason:
    """Its cursor is the last verdict on who is late: one is reported when it changes."""
    end_lost_listings(context.instance, channel_runs)
    if "intake" in paused_parts(channel_runs.postgres):
        return dg.SkipReason("Paused by an operator: intake.")
    waiting, known = _without_run(context.instance, channel_runs)
    changes = _partition_changes(context.instance, channel_runs)
    late = late_channels(channel_runs.postgres)
    verdict = short_hash(" ".join(each.id for each in late).encode())
    is_news = verdict != (context.cursor or short_hash(b""))
    if not (waiting or changes or is_news):
        _wait(channel_runs, known)
        waiting, _ = _without_run(context.instance, channel_runs)
        if not waiting:
            return dg.SkipReason("No channel is due.")
    return dg.SensorResult(
        run_requests=[_run_request(due) for due in waiting],
        dynamic_partitions_requests=changes,
        asset_events=[evaluation(late)] if is_news else [],
        cursor=verdict,
    )


def _without_run(
    instance: dg.DagsterInstance, runs: ChannelRuns
) -> tuple[list[DueChannel], list[str]]:
    """Those due that Dagster has no run of, and ids of those that it has. Runs that ended before
    they claimed are settled."""
    due = due_channels(runs.postgres, _window())
    found = {
        key: record.dagster_run
        for key, record in runs_by_key(instance, [each.run_key for each in due]).items()
    }
    waiting = []
    for each in due:
        run = found.get(each.run_key)
        if run is None:
            waiting.append(each)
        elif run.is_finished:
            runs.settle_unstarted(each)
    return waiting, [each.id for each in due if each.run_key in found]


def _window() -> int:
    """Most runs in Dagster's queue."""
    return AHEAD * load_settings().listing_slots


def _partition_changes(
    instance: dg.DagsterInstance, runs: ChannelRuns
) -> list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest]:
    """What makes the partitions those channels that there are."""
    wanted, known = (
        set(channel_ids(runs.postgres)),
        set(instance.get_dynamic_partitions(_PARTITIONS)),
    )
    changes: list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest] = []
    if wanted - known:
        changes.append(channel_partitions.build_add_request(sorted(wanted - known)))
    if known - wanted:
        changes.append(channel_partitions.build_delete_request(sorted(known - wanted)))
    return changes


def _wait(runs: ChannelRuns, known: list[str]) -> None:
    """Until a channel is due that has no run, or one has come or gone."""
    if len(known) >= _window():
        time.sleep(FULL_S)
        return
    with runs.postgres.own_connection() as connection:
        # Listen first, then look: what is committed in between is seen by the one or the other.
        connection.execute(f"listen {CHANNELS_CHANNEL}")
        due_in_s = next_due_in_s(runs.postgres, known)
        wait_s = WAIT_S if due_in_s is None else min(max(due_in_s, 0.0), WAIT_S)
        for _ in connection.notifies(timeout=wait_s, stop_after=1):
            pass


def _run_request(due: DueChannel) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=due.run_key,
        partition_key=due.id,
        tags={
            DUE_TAG: due_time(due.due_at),
            CHANNEL_TAG: due.id,
            "dagster/priority": PRIORITY,
        },
    )
