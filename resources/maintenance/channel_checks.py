"""Checks of channels: lost listing runs, and deletions that are not finished."""

import time
from collections.abc import Sequence

from resources.channels.rows import CHANNEL_FIELD
from resources.maintenance.check import Check, Installation, Repaired
from resources.maintenance.lost_runs import SILENT_S, end_lost_listings
from ytcaption.domain.errors import TranscriptionErased, TranscriptionNotFound, YtcaptionError

WITHIN_S = 15.0
"""Seconds one check spends on erasing; the next one continues a minute later."""

_OF_CHANNEL = """
select distinct r.transcription_id as id from ytcaption.request as r
join ytcaption.channel as c on c.owner = r.owner
where c.id = %(id)s and r.metadata @> jsonb_build_object(%(field)s::text, c.id)
order by 1
"""


def _listed_without_process(installation: Installation) -> list[str]:
    rows = installation.postgres.rows(
        "select id from ytcaption.channel where run_id is not null "
        "and heartbeat_at < now() - make_interval(secs => %(silent_s)s) order by id",
        {"silent_s": SILENT_S},
    )
    return [row["id"] for row in rows]


def _free(installation: Installation, _names: Sequence[str]) -> Repaired:
    return Repaired(
        done=[
            each.id for each in end_lost_listings(installation.instance, installation.channel_runs)
        ]
    )


def _deleted(installation: Installation) -> list[str]:
    rows = installation.postgres.rows(
        "select id from ytcaption.channel where deleted_at is not null order by deleted_at", {}
    )
    return [row["id"] for row in rows]


def _finish_deleting(installation: Installation, ids: Sequence[str]) -> Repaired:
    deadline, repaired = time.monotonic() + WITHIN_S, Repaired()
    for id in ids:
        try:
            if _erase_items(installation, id, deadline):
                repaired.done.append(id)
            else:
                repaired.left[id] = "More transcriptions are to be erased; this continues."
        except YtcaptionError as error:
            repaired.left[id] = error.message
    return repaired


def _erase_items(installation: Installation, id: str, deadline: float) -> bool:
    """Erase the channel's transcriptions, then the channel. Return whether all are erased."""
    [channel] = installation.postgres.rows(
        "select owner from ytcaption.channel where id = %(id)s", {"id": id}
    )
    for row in installation.postgres.rows(_OF_CHANNEL, {"id": id, "field": CHANNEL_FIELD}):
        if time.monotonic() > deadline:
            return False
        try:
            installation.erasure.erase(row["id"], channel["owner"], force=True)
        except (TranscriptionNotFound, TranscriptionErased):
            continue
    with installation.postgres.transaction() as connection:
        connection.execute(
            "delete from ytcaption.channel where id = %s and deleted_at is not null", (id,)
        )
    return True


CHANNEL_CHECKS = (
    Check(
        "listing_lost",
        "channels whose listing run sends no heartbeats",
        "the run is ended, and the channel is listed again",
        _listed_without_process,
        _free,
    ),
    Check(
        "channel_deleted",
        "deleted channels whose transcriptions are still to be erased",
        "they are erased, then the channel is",
        _deleted,
        _finish_deleting,
    ),
)
