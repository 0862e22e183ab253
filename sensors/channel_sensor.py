"""Sensor: keeps a partition per channel and starts a run of `channel_listing` when one is due."""

from functools import partial

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
from resources.maintenance.lost_runs import end_lost_listings
from resources.orchestration.partitions import channel_partitions
from resources.orchestration.pauses import paused_parts
from resources.orchestration.tags import CHANNEL_TAG
from resources.postgres.database_clock import DATABASE_CLOCK
from sensors.channel_freshness_check import evaluation
from sensors.due_runs import queue_size, split_by_run, wait_for_due
from sensors.jobs import list_channel_job
from ytcaption.domain.request import short_hash
from ytcaption.settings.settings import load_settings

PRIORITY = "500"
"""In Dagster's queue: after interactive transcriptions, before bulk ones."""

_PARTITIONS = channel_partitions.name or ""

PartitionChange = dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest


@dg.sensor(
    target=list_channel_job,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Keeps a partition per channel and starts a run for each channel that is due; "
    "ends runs whose process was lost; reports which channels are late.",
)
def channel_sensor(
    context: dg.SensorEvaluationContext, channel_runs: ChannelRuns
) -> dg.SensorResult | dg.SkipReason:
    """Start runs for the channels that are due. The cursor is a hash of the late channels as last
    reported: they are reported when they change."""
    if not DATABASE_CLOCK.was_just_set(channel_runs.postgres):
        end_lost_listings(context.instance, channel_runs)
    if "intake" in paused_parts(channel_runs.postgres):
        return dg.SkipReason("Paused by an operator: intake.")
    due, with_run, changes = _due(context.instance, channel_runs)
    late = late_channels(channel_runs.postgres)
    cursor = short_hash(" ".join(each.id for each in late).encode())
    has_changed = cursor != (context.cursor or short_hash(b""))
    if not (due or changes or has_changed):
        listen = partial(_listen, channel_runs, [each.id for each in with_run])
        wait_for_due(len(with_run), load_settings().channels.listing_slots, listen)
        due, _, changes = _due(context.instance, channel_runs)
        if not (due or changes):
            return dg.SkipReason("No channel is due.")
    return dg.SensorResult(
        run_requests=[_run_request(each) for each in due],
        dynamic_partitions_requests=changes,
        asset_events=[evaluation(late)] if has_changed else [],
        cursor=cursor,
    )


def _due(
    instance: dg.DagsterInstance, runs: ChannelRuns
) -> tuple[list[DueChannel], list[DueChannel], list[PartitionChange]]:
    """Return the due channels without and with a run in Dagster, and the requests that make the
    partitions equal to the existing channels."""
    due = due_channels(runs.postgres, queue_size(load_settings().channels.listing_slots))
    # Read the channels afterwards: each due one then has a partition, or was deleted meanwhile.
    channels = set(channel_ids(runs.postgres))
    partitions = set(instance.get_dynamic_partitions(_PARTITIONS))
    changes: list[PartitionChange] = []
    if added := sorted(channels - partitions):
        changes.append(channel_partitions.build_add_request(added))
    if deleted := sorted(partitions - channels):
        changes.append(channel_partitions.build_delete_request(deleted))
    there = [each for each in due if each.id in channels]
    return *split_by_run(instance, there, runs.settle_unstarted), changes


def _listen(runs: ChannelRuns, known: list[str], timeout_s: float) -> bool:
    """Wait until a channel without a run is due, or a channel was added, changed or deleted.

    Args:
        known: ids of channels that have a run.
    """
    with runs.postgres.own_connection() as connection:
        # Listen before the query: a commit in between is then seen by one of the two.
        connection.execute(f"listen {CHANNELS_CHANNEL}")
        due_in_s = next_due_in_s(runs.postgres, known)
        wait_s = timeout_s if due_in_s is None else min(max(due_in_s, 0.0), timeout_s)
        for _ in connection.notifies(timeout=wait_s, stop_after=1):
            pass
    return True


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
