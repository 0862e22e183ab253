"""Asset `channel_listing`: what a channel lists, and which of it was asked for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from resources.channels.due import DUE_TAG
from resources.channels.intake import ChannelIntake
from resources.channels.items import IntakeResult
from resources.channels.lister_policies import OutgoingLister, PacedLister
from resources.channels.listing.lister import ChannelLister
from resources.channels.poll import (
    ChannelPoll,
    PollLimits,
)
from resources.channels.rows import ChannelCounts, ChannelRow
from resources.channels.runs import ChannelRuns
from resources.channels.store import counts
from resources.orchestration.partitions import channel_partitions
from resources.orchestration.tags import CHANNEL_TAG
from resources.orchestration.trace import asset_span
from ytcaption.domain.errors import ClaimLost, DatabaseUnavailable, YtcaptionError
from ytcaption.settings import load_settings

HEARTBEAT_S = 5.0
"""Rule 35 asks for one in 15 s."""

CONTINUE_S = 1.0
"""To the next part of a history: others that are due by then have their turn first."""

HELD_S = 600.0
"""Until what the quotas of its owner have held back is asked for."""


@dg.asset(
    partitions_def=channel_partitions,
    pool="listing",
    kinds={"python", "yt-dlp"},
    owners=["team:media"],
    group_name="channels",
)
def channel_listing(
    context: dg.AssetExecutionContext,
    channel_runs: ChannelRuns,
    channel_intake: ChannelIntake,
    channel_lister: ChannelLister,
) -> dg.MaterializeResult:
    """What the channel lists: new items first, then the next part of its history. Those that pass
    its filters are asked for, each as a transcription of its own."""
    settings = load_settings()
    limits = PollLimits(settings.listing_turn_s, settings.relist_days)
    with asset_span(context, of="channel_id"), _claimed(context, channel_runs) as channel:
        postgres = channel_intake.postgres
        lister = PacedLister(OutgoingLister(channel_lister, settings, postgres), postgres)
        look = ChannelPoll(channel, context.run_id, lister, channel_intake, limits)
        continue_in_s = CONTINUE_S if look.run() else None
        if continue_in_s is None and channel_intake.is_held_by_quota(channel.id):
            continue_in_s = HELD_S
        channel = channel_runs.complete(channel.id, context.run_id, continue_in_s)
        with postgres.transaction() as connection:
            found = counts(connection, [channel.id])[channel.id]
        return dg.MaterializeResult(metadata=_metadata(channel, look.result, found))


@contextmanager
def _claimed(context: dg.AssetExecutionContext, runs: ChannelRuns) -> Iterator[ChannelRow]:
    """The partition's channel, held by this run and kept by heartbeats. What fails is recorded with
    its code, and looked at again later; Dagster itself tries nothing again (rule 33).

    Raises:
        dg.Failure: it cannot be had, or the block failed.
    """
    id, run_id = context.partition_key, context.run_id
    try:
        channel = runs.claim(id, run_id, context.run.tags.get(DUE_TAG))
    except YtcaptionError as error:
        raise _failure(error) from error
    ended = threading.Event()
    beats = threading.Thread(target=_beat, args=(runs, id, run_id, ended), daemon=True)
    beats.start()
    try:
        yield channel
    except ClaimLost as error:
        raise _failure(error) from error
    except YtcaptionError as error:
        _record(context, runs, error)
        raise _failure(error) from error
    finally:
        ended.set()
        beats.join()


def _beat(runs: ChannelRuns, id: str, run_id: str, ended: threading.Event) -> None:
    while not ended.wait(HEARTBEAT_S):
        try:
            runs.heartbeat(id, run_id)
        except ClaimLost:
            return  # the next page that it writes says so
        except DatabaseUnavailable:
            continue


def _record(context: dg.AssetExecutionContext, runs: ChannelRuns, error: YtcaptionError) -> None:
    try:
        delay_s = runs.fail(
            context.partition_key,
            context.run_id,
            error.code,
            error.message,
            error.retryable,
            error.retry_after_s,
        )
    except (ClaimLost, DatabaseUnavailable) as lost:
        # The sensor settles it, as one whose process was lost.
        context.log.warning("not recorded: %s", lost)
        return
    context.log.info("recorded %s; it is looked at again in %.0f s", error.code, delay_s)


def _failure(error: YtcaptionError) -> dg.Failure:
    return dg.Failure(error.message, metadata={"code": error.code}, allow_retries=False)


def _metadata(
    channel: ChannelRow, taken: IntakeResult, found: ChannelCounts
) -> dict[str, dg.MetadataValue]:
    """Counts of this look, then of the channel as a whole."""
    count, text, time = dg.MetadataValue.int, dg.MetadataValue.text, dg.MetadataValue.timestamp
    metadata: dict[str, dg.MetadataValue] = {
        "channel": text(channel.name),
        "listed": count(taken.listed),
        "new": count(taken.new),
        "changed": count(taken.changed),
        "gone": count(taken.missing),
        "left_out": count(taken.excluded),
        "waiting": count(taken.waiting),
        "refused": count(taken.refused),
        "queued": count(taken.queued),
        "shared": count(taken.shared),
        "items": count(found.items),
        "wanted": count(found.wanted),
        "done": count(found.done),
        "progress": text(progress(found)),
        "runs": text(f"tag:{CHANNEL_TAG}={channel.id}"),
        "next_listing": time(channel.next_listing_at),
        "by_state": dg.MetadataValue.md(_table(found)),
    }
    if channel.history_next is not None:
        total = f" of {channel.history_total:,}" if channel.history_total else ""
        metadata["history"] = text(f"{channel.history_next:,}{total} listed, to be continued")
    if taken.shown:
        # No titles: Dagster keeps metadata, and what is erased must not be in them (rule 43).
        rows = [f"| {media_id} | {became} |" for media_id, became in taken.shown]
        more = f"\n\nand {taken.new - len(rows):,} more" * (taken.new > len(rows))
        heading = "| new item | became |\n| --- | --- |\n"
        metadata["new_items"] = dg.MetadataValue.md(heading + "\n".join(rows) + more)
    return metadata


def progress(found: ChannelCounts) -> str:
    """Of all that is wanted of a channel, in words."""
    share = found.done / found.wanted if found.wanted else 1.0
    return f"{found.done:,} of {found.wanted:,} transcribed ({share:.0%})"


def _table(found: ChannelCounts) -> str:
    rows = [("items", state, number) for state, number in found.states.items()]
    rows += [("transcriptions", status.value, number) for status, number in found.statuses.items()]
    lines = [f"| {what} | {state} | {number:,} |" for what, state, number in sorted(rows)]
    return "\n".join(["| | state | number |", "| --- | --- | ---: |", *lines])
