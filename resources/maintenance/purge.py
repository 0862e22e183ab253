"""Erasing many transcriptions at once, by age and state."""

import logging
import time
from dataclasses import dataclass
from typing import Literal

from resources.maintenance.erasure import Erasure
from resources.postgres.connection import Postgres
from resources.postgres.predicates import FINISHED, TOUCHED, is_erased, is_pinned
from resources.transcriptions.rows import LISTED
from ytcaption.domain.errors import InvalidOption, TranscriptionBusy, TranscriptionNotFound

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PurgeFilter:
    """Which of those at rest; one of the two at least.

    Attributes:
        older_than_days: since it last changed, and since anybody last asked for it.
    """

    older_than_days: float | None = None
    status: Literal["completed", "failed", "canceled"] | None = None


@dataclass(frozen=True)
class Purged:
    """What was erased, or would be.

    Attributes:
        number: how many fitted.
        ids: the first `LISTED` of them.
        erased: of them; less than all in a dry run, or where the time was up or a run was at work.
    """

    number: int
    ids: tuple[str, ...]
    erased: int


def purge(
    postgres: Postgres,
    erasure: Erasure,
    chosen: PurgeFilter,
    by: str,
    *,
    dry_run: bool,
    within_s: float | None = None,
) -> Purged:
    """Erase all that fits and that nobody keeps, the oldest first, and finish erasures that were
    cut short.

    Args:
        within_s: begin none after so many seconds; repeated, it goes on.

    Raises:
        InvalidOption: nothing limits it.
        ObjectStoreUnavailable, LakeUnavailable, DagsterUnavailable, DatabaseUnavailable: a part is
            away; what is erased by then stays so, the rest is for the next time.
    """
    if chosen.older_than_days is None and chosen.status is None:
        raise InvalidOption("Give an age, a status or both: else everything would be erased.")
    began, erased = time.monotonic(), 0
    ids = fitting(postgres, chosen)
    logger.info(
        "purge of %d transcriptions by %s%s: %s", len(ids), by, " (dry run)" * dry_run, chosen
    )
    unfinished = [] if dry_run else erasure.unfinished()
    for id in [*unfinished, *([] if dry_run else ids)]:
        if within_s is not None and time.monotonic() - began > within_s:
            break
        if id not in unfinished and not fitting(postgres, chosen, id):
            continue  # somebody has asked for it meanwhile
        try:
            erasure.erase(id)
        except (TranscriptionBusy, TranscriptionNotFound):
            continue
        erased += id not in unfinished
    return Purged(len(ids), tuple(ids[:LISTED]), erased)


def fitting(postgres: Postgres, chosen: PurgeFilter, id: str | None = None) -> list[str]:
    """Ids of all that fits and that nobody keeps, the oldest first; of one, where `id` is given."""
    with postgres.transaction() as connection:
        rows = connection.execute(
            f"""
            select t.id from ytcaption.transcription t
            cross join lateral (select {TOUCHED} as touched_at) last
            where {FINISHED}
                and (%(id)s::text is null or t.id = %(id)s)
                and (%(status)s::text is null or t.status = %(status)s)
                and (%(days)s::float8 is null
                    or last.touched_at < now() - make_interval(secs => %(days)s * 86400))
                and not {is_erased("t.id")} and not {is_pinned("t.id")}
            order by last.touched_at, t.id
            """,  # noqa: S608
            {"id": id, "status": chosen.status, "days": chosen.older_than_days},
        ).fetchall()
    return [row["id"] for row in rows]
