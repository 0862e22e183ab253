"""Asset check of `channel_listing`: whether every channel is listed in time."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import dagster as dg

from resources.channels.due import LateChannel, late_channels
from resources.channels.runs import ChannelRuns

NAME = "channels_listed_in_time"
SHOWN = 100
"""Late channels that are listed in the metadata."""

_ASSET = "channel_listing"


@dg.asset_check(
    asset=_ASSET,
    name=NAME,
    description="Each channel was listed when it was due, or within an hour. The sensor reports "
    "changes by itself.",
)
def channels_listed_in_time(channel_runs: ChannelRuns) -> dg.AssetCheckResult:
    """Return a warning that lists the late channels and why they are late."""
    late = late_channels(channel_runs.postgres)
    return dg.AssetCheckResult(
        passed=not late, severity=dg.AssetCheckSeverity.WARN, metadata=_metadata(late)
    )


def evaluation(late: Sequence[LateChannel]) -> dg.AssetCheckEvaluation:
    """Return the same result as an evaluation that needs no run."""
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(_ASSET),
        check_name=NAME,
        passed=not late,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=_metadata(late),
    )


def _metadata(late: Sequence[LateChannel]) -> Mapping[str, dg.MetadataValue]:
    rows = [
        f"| {each.id} | {_format(each.listed_at)} | {each.failures} | {each.error_code or ''} |"
        for each in late[:SHOWN]
    ]
    table = "\n".join(
        ["| channel | last listed | failures | last error |", "| --- | --- | ---: | --- |", *rows]
    )
    return {
        "late": dg.MetadataValue.int(len(late)),
        "channels": dg.MetadataValue.md(table if late else "All were listed in time."),
    }


def _format(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "never"
