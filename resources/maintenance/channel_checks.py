"""What lost runs and deletions leave of channels."""

import time
from collections.abc import Sequence

from resources.channels.rows import CHANNEL_FIELD
from resources.maintenance.check import Check, Mended, Parts
from resources.maintenance.lost_runs import SILENT_S, end_lost_listings
from ytcaption.domain.errors import TranscriptionErased, TranscriptionNotFound, YtcaptionError

WITHIN_S = 15.0
"""How long one look goes on erasing: the rest is for the next, a minute later."""

_OF_CHANNEL = """
select distinct r.transcription_id as id from ytcaption.request as r
join ytcaption.channel as c on c.owner = r.owner
where c.id = %(id)s and r.metadata @> jsonb_build_object(%(field)s::text, c.id)
order by 1
"""


def _listed_without_process(parts: Parts) -> list[str]:
    rows = parts.postgres.rows(
        "select id from ytcaption.channel where run_id is not null "
        "and heartbeat_at < now() - make_interval(secs => %(silent_s)s) order by id",
        {"silent_s": SILENT_S},
    )
    return [row["id"] for row in rows]


def _free(parts: Parts, _names: Sequence[str]) -> Mended:
    return Mended(done=[each.id for each in end_lost_listings(parts.instance, parts.channel_runs)])


def _deleted(parts: Parts) -> list[str]:
    rows = parts.postgres.rows(
        "select id from ytcaption.channel where deleted_at is not null order by deleted_at", {}
    )
    return [row["id"] for row in rows]


def _finish_deleting(parts: Parts, ids: Sequence[str]) -> Mended:
    deadline, mended = time.monotonic() + WITHIN_S, Mended()
    for id in ids:
        try:
            if _erase_items(parts, id, deadline):
                mended.done.append(id)
            else:
                mended.left[id] = "There are more transcriptions to erase; it goes on."
        except YtcaptionError as error:
            mended.left[id] = error.message
    return mended


def _erase_items(parts: Parts, id: str, deadline: float) -> bool:
    """Whether all are erased, and the channel with them."""
    [channel] = parts.postgres.rows(
        "select owner from ytcaption.channel where id = %(id)s", {"id": id}
    )
    for row in parts.postgres.rows(_OF_CHANNEL, {"id": id, "field": CHANNEL_FIELD}):
        if time.monotonic() > deadline:
            return False
        try:
            parts.erasure.erase(row["id"], channel["owner"], force=True)
        except (TranscriptionNotFound, TranscriptionErased):
            continue
    with parts.postgres.transaction() as connection:
        connection.execute(
            "delete from ytcaption.channel where id = %s and deleted_at is not null", (id,)
        )
    return True


CHANNEL_CHECKS = (
    Check(
        "listing_lost",
        "channels whose listing run gives no sign of life",
        "the run is ended, and the channel is looked at again",
        _listed_without_process,
        _free,
    ),
    Check(
        "channel_deleted",
        "deleted channels whose transcriptions are still to be erased",
        "they are erased, then the channel",
        _deleted,
        _finish_deleting,
    ),
)
