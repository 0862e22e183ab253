"""What happened to one transcription, page by page, for those who asked for it."""

from typing import LiteralString
from uuid import UUID

from resources.postgres.connection import Postgres
from resources.transcriptions.rows import EventRow
from resources.transcriptions.state import VISIBLE, absent
from ytcaption.domain.errors import InvalidCursor
from ytcaption.domain.events import EventType

EVENT_COLUMNS: LiteralString = (
    'event_id, event_type, "timestamp", schema_version, transcription_id, media_id, run_id, '
    "trace_id, data"
)
"""SQL: what an EventRow is made of."""

_PLACE = (
    "select number from ytcaption.event where event_id = %(after)s and transcription_id = %(id)s"
)
_PAGE = f"""
select {EVENT_COLUMNS} from ytcaption.event
where transcription_id = %(id)s and number > %(place)s
    -- Who else asks for it, and who does no longer, is theirs.
    and (%(owner)s::text is null or event_type <> all (%(private)s) or exists (
        select from ytcaption.request
        where id = (event.data ->> 'request_id')::uuid and owner = %(owner)s))
order by number limit %(limit)s
"""  # noqa: S608


def event_history(
    postgres: Postgres, id: str, owner: str | None, *, after: UUID | None, limit: int
) -> list[EventRow]:
    """Events in the order in which they happened; of requests, the owner's own.

    Args:
        owner: who must have asked for it, as `Caller.sees_only` says; None: anybody.
        after: the last event of the page before. No event comes late: who appends one holds the
            transcription's row.

    Raises:
        TranscriptionNotFound, TranscriptionErased: as `RequestStore.get`.
        InvalidCursor: `after` is none of its events.
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    values = {"id": id, "owner": owner, "after": after}
    with postgres.transaction() as connection:
        if connection.execute(VISIBLE, values).fetchone() is None:
            raise absent(connection, id)
        place = 0
        if after is not None:
            found = connection.execute(_PLACE, values).fetchone()
            if found is None:
                raise InvalidCursor(
                    "This cursor is none of this transcription's history. Take `next_cursor` of a "
                    "page, or leave it out."
                )
            place = found["number"]
        private = [EventType.REQUESTED, EventType.REQUEST_WITHDRAWN]
        more = {"place": place, "limit": limit, "private": private}
        rows = connection.execute(_PAGE, values | more).fetchall()
    return [EventRow(**row) for row in rows]
