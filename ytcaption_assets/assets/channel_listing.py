"""Asset `channel_listing`: the items of a channel, and those requested as transcriptions."""

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
from resources.orchestration.claim import Heartbeats, failure, keep_claim
from resources.orchestration.partitions import channel_partitions
from resources.orchestration.tags import CHANNEL_TAG
from resources.orchestration.trace import asset_span
from ytcaption.domain.errors import ClaimLost, YtcaptionError
from ytcaption.settings.settings import load_settings

HEARTBEAT_S = 5.0
"""Interval of heartbeats; at least one every 15 s: docs/adr/security-rules.md#rule-35"""

CONTINUE_S = 1.0
"""Delay of the next part of a history: channels that are due by then come first."""

QUOTA_RETRY_S = 600.0
"""Delay until items that the quotas of the channel's owner have held back are requested again."""

_OLD_NAMES = {"gone": "missing", "left_out": "excluded"}
"""Metadata by their names before 0.2, which are still written."""


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
    """The items of a channel: new ones first, then the next part of its history. Each item that
    passes the channel's filters is requested as a transcription of its own."""
    settings = load_settings()
    limits = PollLimits(settings.channels.listing_slice_s, settings.channels.relist_days)
    with _claimed(context, channel_runs) as channel:
        postgres = channel_intake.postgres
        lister = PacedLister(OutgoingLister(channel_lister, settings, postgres), postgres)
        poll = ChannelPoll(channel, context.run_id, lister, channel_intake, limits)
        continue_in_s = CONTINUE_S if poll.run() else None
        if continue_in_s is None and channel_intake.is_held_by_quota(channel.id):
            continue_in_s = QUOTA_RETRY_S
        channel = channel_runs.complete(channel.id, context.run_id, continue_in_s)
        with postgres.transaction() as connection:
            totals = counts(connection, [channel.id])[channel.id]
        return dg.MaterializeResult(metadata=_metadata(channel, poll.result, totals))


class _ChannelClaim:
    """A run's claim on the partition's channel (a `resources.orchestration.claim.Claim`)."""

    def __init__(self, runs: ChannelRuns, id: str, run_id: str, due_at: str | None) -> None:
        self._runs = runs
        self._id, self._run_id = id, run_id
        try:
            self.channel = runs.claim(id, run_id, due_at)
        except YtcaptionError as error:
            raise failure(error) from error

    def heartbeat(self) -> None:
        self._runs.heartbeat(self._id, self._run_id)

    def on_lost(self, ended: threading.Event) -> None:
        """Do nothing: the next page that the run commits is refused."""

    def lost(self, error: ClaimLost) -> BaseException:
        return failure(error)

    def record(
        self, code: str, message: str, retryable: bool, retry_after_s: float | None = None
    ) -> str:
        delay_s = self._runs.fail(self._id, self._run_id, code, message, retryable, retry_after_s)
        return f"due again in {delay_s:.0f} s"

    def on_success(self, heartbeats: Heartbeats) -> None:
        heartbeats.stop()


@contextmanager
def _claimed(context: dg.AssetExecutionContext, runs: ChannelRuns) -> Iterator[ChannelRow]:
    """Claim the partition's channel for this run and yield it. An error of the block is recorded
    with its code; the channel is due again later, and Dagster itself retries nothing.

    Raises:
        dg.Failure: the channel cannot be claimed, or the block failed.
    """
    with asset_span(context, of="channel_id"):
        due_at = context.run.tags.get(DUE_TAG)
        claim = _ChannelClaim(runs, context.partition_key, context.run_id, due_at)
        with keep_claim(context, claim, HEARTBEAT_S):
            yield claim.channel


def _metadata(
    channel: ChannelRow, intake: IntakeResult, totals: ChannelCounts
) -> dict[str, dg.MetadataValue]:
    """Return counts of this poll, then of the channel as a whole."""
    count, text, time = dg.MetadataValue.int, dg.MetadataValue.text, dg.MetadataValue.timestamp
    metadata: dict[str, dg.MetadataValue] = {
        "channel": text(channel.name),
        "listed": count(intake.listed),
        "new": count(intake.new),
        "changed": count(intake.changed),
        "missing": count(intake.missing),
        "excluded": count(intake.excluded),
        "waiting": count(intake.waiting),
        "refused": count(intake.refused),
        "queued": count(intake.queued),
        "shared": count(intake.shared),
        "items": count(totals.items),
        "wanted": count(totals.wanted),
        "done": count(totals.done),
        "progress": text(progress(totals)),
        "runs": text(f"tag:{CHANNEL_TAG}={channel.id}"),
        "next_listing": time(channel.next_listing_at),
        "by_state": dg.MetadataValue.md(_table(totals)),
    }
    metadata |= {old: metadata[new] for old, new in _OLD_NAMES.items()}
    if channel.history_next is not None:
        total = f" of {channel.history_total:,}" if channel.history_total else ""
        metadata["history"] = text(f"{channel.history_next:,}{total} listed, to be continued")
    if intake.shown:
        # No titles: Dagster keeps metadata, which an erasure does not reach.
        rows = [f"| {media_id} | {result} |" for media_id, result in intake.shown]
        more = f"\n\nand {intake.new - len(rows):,} more" * (intake.new > len(rows))
        heading = "| new item | became |\n| --- | --- |\n"
        metadata["new_items"] = dg.MetadataValue.md(heading + "\n".join(rows) + more)
    return metadata


def progress(totals: ChannelCounts) -> str:
    """Return in words how many of the wanted items are transcribed."""
    share = totals.done / totals.wanted if totals.wanted else 1.0
    return f"{totals.done:,} of {totals.wanted:,} transcribed ({share:.0%})"


def _table(totals: ChannelCounts) -> str:
    rows = [("items", state, number) for state, number in totals.states.items()]
    rows += [("transcriptions", status.value, number) for status, number in totals.statuses.items()]
    lines = [f"| {kind} | {state} | {number:,} |" for kind, state, number in sorted(rows)]
    return "\n".join(["| | state | number |", "| --- | --- | ---: |", *lines])
