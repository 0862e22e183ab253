"""Erases many transcriptions, by age and status."""

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
    """Which finished transcriptions to erase; at least one condition must be given.

    Attributes:
        older_than_days: days since the last change and the last request.
    """

    older_than_days: float | None = None
    status: Literal["completed", "failed", "canceled"] | None = None


@dataclass(frozen=True)
class Purged:
    """The result of a purge, or of its dry run.

    Attributes:
        number: of matching transcriptions.
        ids: the first `LISTED` of them.
        erased: number of erased ones; fewer in a dry run, if time was up, or if a run was working.
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
    """Erase all matching transcriptions that are not exempt, the oldest first, and finish
    interrupted erasures.

    Args:
        within_s: begin no further erasure after this many seconds; call it again to continue.

    Raises:
        InvalidOption: no condition is given.
        ObjectStoreUnavailable, LakeUnavailable, DagsterUnavailable, DatabaseUnavailable: a part is
            unavailable; call it again to erase the rest.
    """
    if chosen.older_than_days is None and chosen.status is None:
        raise InvalidOption("Give an age, a status or both: otherwise everything is erased.")
    began, erased = time.monotonic(), 0
    ids = matching(postgres, chosen)
    logger.info(
        "purge of %d transcriptions by %s%s: %s", len(ids), by, " (dry run)" * dry_run, chosen
    )
    unfinished = [] if dry_run else erasure.unfinished()
    for id in [*unfinished, *([] if dry_run else ids)]:
        if within_s is not None and time.monotonic() - began > within_s:
            break
        still_there = erasure.unfinished() if id in unfinished else matching(postgres, chosen, id)
        if id not in still_there:
            continue  # it was requested again in the meantime
        try:
            erasure.erase(id)
        except (TranscriptionBusy, TranscriptionNotFound):
            continue
        erased += id not in unfinished
    return Purged(len(ids), tuple(ids[:LISTED]), erased)


def matching(postgres: Postgres, chosen: PurgeFilter, id: str | None = None) -> list[str]:
    """Return the ids of matching transcriptions that are not exempt, the oldest first.

    Args:
        id: consider this transcription only.
    """
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
