"""Where a transcription stands, and what of its text somebody who watches has not yet seen."""

from dataclasses import dataclass
from typing import Any

from resources.postgres.connection import Postgres
from resources.postgres.predicates import is_visible_to_owner
from resources.sites.wait_reasons import WAITING_FOR, Waiting, waiting_of
from resources.transcriptions.rows import TranscriptionRow, transcription_row

PAGE = 500

EARLIER = 0
"""Stands for an attempt: the text is of an earlier one, whose result was kept."""


@dataclass(frozen=True)
class SpokenSegment:
    """A segment without its words."""

    index: int
    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class Glance:
    """One look.

    Attributes:
        attempt: that the segments are of, or `EARLIER`. Segments of one attempt stay as they are,
            from the first draft to the result.
        segments: from the first one that was not seen on, at most `PAGE`.
        waiting_for: where it is not for its turn alone.
    """

    row: TranscriptionRow
    attempt: int
    segments: tuple[SpokenSegment, ...]
    waiting_for: Waiting | None = None

    @property
    def is_whole(self) -> bool:
        """Whether no more segments are there to be read."""
        return len(self.segments) < PAGE


def glance(
    postgres: Postgres, id: str, owner: str | None, attempt: int, seen: int
) -> Glance | None:
    """One look, in one statement, so that state and text belong together; None: it is erased, or
    none of the owner's any more.

    Args:
        owner: as `Caller.sees_only` says.
        attempt, seen: so many segments of that attempt were seen; of any other, none.

    Raises:
        DatabaseUnavailable: look again.
    """
    rows = postgres.rows(
        _GLANCE, {"id": id, "owner": owner, "attempt": attempt, "seen": seen, "page": PAGE}
    )
    if not rows:
        return None
    row: dict[str, Any] = dict(rows[0])
    segments = tuple(SpokenSegment(**each) for each in row.pop("text") or ())
    waiting = waiting_of(row["waiting_for"])
    return Glance(transcription_row(row), row["text_attempt"], segments, waiting)


_GLANCE = f"""
with watched as (
    select *,
        -- A document that stands while a run works is the one the run goes on with.
        document_key is not null and status in ('running', 'completed') as stands,
        case when document_key is not null and status in ('running', 'completed')
                and provenance ->> 'run_id' is distinct from run_id
            then 0 else attempt end as text_attempt,
        {WAITING_FOR} as waiting_for
    from ytcaption.transcription where id = %(id)s and {is_visible_to_owner("%(id)s")}
),
reader as (
    select *, case text_attempt when %(attempt)s then %(seen)s else 0 end as first from watched
)
select reader.*, (
    select jsonb_agg(to_jsonb(page) order by page.index) from (
        select index, start_s, end_s, text from ytcaption.segment
        where reader.stands and transcription_id = reader.id and index >= reader.first
        union all
        select index, start_s, end_s, text from ytcaption.draft_segment
        where not reader.stands and reader.status = 'running' and transcription_id = reader.id
            and attempt = reader.attempt and index >= reader.first
        order by index limit %(page)s
    ) as page
) as text
from reader
"""  # noqa: S608
