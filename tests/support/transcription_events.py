"""All events of one transcription, as they are stored."""

from resources.postgres.connection import Postgres
from resources.transcriptions.history import EVENT_COLUMNS
from resources.transcriptions.rows import EventRow


def transcription_events(postgres: Postgres, id: str) -> list[EventRow]:
    """Return all events of a transcription, oldest first."""
    rows = postgres.rows(
        f"select {EVENT_COLUMNS} from ytcaption.event "
        "where transcription_id = %(id)s order by number",
        {"id": id},
    )
    return [EventRow(**row) for row in rows]
