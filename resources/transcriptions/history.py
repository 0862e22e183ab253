"""Events of one transcription, page by page for its requesters."""

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
"""SQL: columns of an EventRow."""

_NUMBER = (
    "select number from ytcaption.event where event_id = %(after)s and transcription_id = %(id)s"
)
_PAGE = f"""
select {EVENT_COLUMNS} from ytcaption.event
where transcription_id = %(id)s and number > %(number)s
    -- Requests of other owners are private.
    and (%(owner)s::text is null or event_type <> all (%(private)s) or exists (
        select from ytcaption.request
        where id = (event.data ->> 'request_id')::uuid and owner = %(owner)s))
order by number limit %(limit)s
"""  # noqa: S608


def event_history(
    postgres: Postgres, id: str, owner: str | None, *, after: UUID | None, limit: int
) -> list[EventRow]:
    """Return one page of a transcription's events, oldest first. Of its requests, only the owner's
    own are included.

    Args:
        owner: must have requested it (`Caller.sees_only`); None: no restriction.
        after: last event of the previous page. No event is inserted before it later: an event is
            appended under a lock on the transcription's row.

    Raises:
        TranscriptionNotFound, TranscriptionErased: as `get_transcription`.
        InvalidCursor: `after` is no event of this transcription.
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    values = {"id": id, "owner": owner, "after": after}
    with postgres.transaction() as connection:
        if connection.execute(VISIBLE, values).fetchone() is None:
            raise absent(connection, id, owner)
        number = 0
        if after is not None:
            last = connection.execute(_NUMBER, values).fetchone()
            if last is None:
                raise InvalidCursor(
                    "This cursor does not belong to this transcription's history. Send the "
                    "`next_cursor` of a page, or no cursor."
                )
            number = last["number"]
        private = [EventType.REQUESTED, EventType.REQUEST_WITHDRAWN]
        more = {"number": number, "limit": limit, "private": private}
        rows = connection.execute(_PAGE, values | more).fetchall()
    return [EventRow(**row) for row in rows]
