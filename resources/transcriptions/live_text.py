"""The state of a transcription for those who watch it, with the segments they have not yet seen."""

from dataclasses import dataclass
from typing import Any

from resources.postgres.connection import Postgres
from resources.postgres.predicates import is_visible_to_owner
from resources.sites.wait_reasons import WAITING_FOR, Waiting, waiting_of
from resources.transcriptions.rows import TranscriptionRow, transcription_row

PAGE = 500
"""Maximum number of segments per reading."""

EARLIER = 0
"""In place of an attempt's number: the text is that of an earlier attempt, whose result stands."""


@dataclass(frozen=True)
class SpokenSegment:
    """A segment without its words."""

    index: int
    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class LiveState:
    """One reading.

    Attributes:
        attempt: the attempt the segments belong to, or `EARLIER`. Segments of an attempt do not
            change, from the first draft to the result.
        segments: those after the seen ones, at most `PAGE`.
        waiting_for: what it waits for besides its position in the queue.
    """

    row: TranscriptionRow
    attempt: int
    segments: tuple[SpokenSegment, ...]
    waiting_for: Waiting | None = None

    @property
    def has_all(self) -> bool:
        """Whether there are no further segments to read now."""
        return len(self.segments) < PAGE


def read_live_state(
    postgres: Postgres, id: str, owner: str | None, attempt: int, seen: int
) -> LiveState | None:
    """Read state and text in one statement, so that they belong together. Return None if the
    transcription was erased, or the owner may not see it (any more).

    Args:
        owner: `Caller.sees_only`.
        attempt, seen: number of segments seen of this attempt; none are seen of any other.

    Raises:
        DatabaseUnavailable: try again.
    """
    rows = postgres.rows(
        _QUERY, {"id": id, "owner": owner, "attempt": attempt, "seen": seen, "page": PAGE}
    )
    if not rows:
        return None
    row: dict[str, Any] = dict(rows[0])
    segments = tuple(SpokenSegment(**each) for each in row.pop("text") or ())
    waiting = waiting_of(row["waiting_for"])
    return LiveState(transcription_row(row), row["text_attempt"], segments, waiting)


_QUERY = f"""
with watched as (
    select *,
        -- A document that exists while a run works is the one the run continues with.
        document_key is not null and status in ('running', 'completed') as has_document,
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
        where reader.has_document and transcription_id = reader.id and index >= reader.first
        union all
        select index, start_s, end_s, text from ytcaption.draft_segment
        where not reader.has_document and reader.status = 'running' and transcription_id = reader.id
            and attempt = reader.attempt and index >= reader.first
        order by index limit %(page)s
    ) as page
) as text
from reader
"""  # noqa: S608
