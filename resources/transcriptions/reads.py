"""What is read of transcriptions and media."""

from collections.abc import Iterable

from resources.telemetry.spans import traced
from resources.transcriptions.history import EVENT_COLUMNS
from resources.transcriptions.listing import (
    ListFilter,
    Position,
    TranscriptionDetail,
    detail_row,
    detail_statement,
    page_statement,
)
from resources.transcriptions.rows import (
    EventRow,
    MediaRow,
    MediaVersions,
    TranscriptionRow,
    media_row,
    transcription_row,
)
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.segments import segment_row
from resources.transcriptions.state import VERSIONS, VISIBLE, absent
from ytcaption.domain.caller import LOCAL, Caller
from ytcaption.domain.errors import MediaNotFound, TranscriptionNotFound
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.domain.transcripts.timings import UNKNOWN, Timings
from ytcaption.domain.transcripts.transcript import Segment

_TIMINGS = """
    with stored as (
        select number, (data ->> 'processing_s')::float8 as processing_s
        from ytcaption.event
        where transcription_id = %(id)s and event_type = 'TranscriptStored'
        order by number desc limit 1
    ), queued as (
        select event.number, event."timestamp"
        from ytcaption.event, stored
        where transcription_id = %(id)s and event_type in ('TranscriptionCreated', 'Queued')
            and event.number < stored.number
        order by event.number desc limit 1
    )
    select stored.processing_s, queued."timestamp" as queued_at, (
        select min("timestamp") from ytcaption.event
        where transcription_id = %(id)s and event_type = 'Started'
            and event.number > queued.number and event.number < stored.number
    ) as started_at
    from stored left join queued on true
"""


class TranscriptionReads(RunStore):
    """Rows as they stand. Who may see one has asked for it, or sees everything (rule 12)."""

    @traced("postgres.get")
    def get(self, id: str, owner: str | None = None) -> TranscriptionRow:
        """One transcription.

        Args:
            owner: who must have asked for it, as `Caller.sees_only` says; None: anybody.

        Raises:
            TranscriptionNotFound: no such id, or this owner has not asked for it.
            TranscriptionErased: it was there once.
        """
        rows = self.postgres.rows(VISIBLE, {"id": id, "owner": owner})
        if not rows:
            raise self._absent(id)
        return transcription_row(rows[0])

    @traced("postgres.detail")
    def detail(self, id: str, caller: Caller = LOCAL) -> TranscriptionDetail:
        """One transcription with all that its asker is told of it, read at one moment.

        Raises:
            as `get`.
        """
        statement, parameters = detail_statement(id, caller)
        rows = self.postgres.rows(statement, parameters)
        if not rows:
            raise self._absent(id)
        return detail_row(rows[0])

    @traced("postgres.page")
    def page(
        self,
        caller: Caller = LOCAL,
        filter: ListFilter = ListFilter(),  # noqa: B008 - frozen
        *,
        after: Position | None = None,
        limit: int = 50,
    ) -> list[TranscriptionDetail]:
        """Of what the caller may see and the filter lets through, the newest first.

        Args:
            after: the place of the last one of the page before.
        """
        statement, parameters = page_statement(caller, filter, after, limit)
        return [detail_row(row) for row in self.postgres.rows(statement, parameters)]

    def _absent(self, id: str) -> Exception:
        with self.postgres.transaction() as connection:
            return absent(connection, id)

    def get_many(self, ids: Iterable[str]) -> dict[str, TranscriptionRow]:
        """Those of the ids that are there, by id."""
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                "select * from ytcaption.transcription where id = any(%s)", (list(ids),)
            ).fetchall()
        return {row["id"]: transcription_row(row) for row in rows}

    def media(self, media_id: str) -> MediaRow:
        """One media.

        Raises:
            MediaNotFound: no such id.
        """
        with self.postgres.transaction() as connection:
            row = connection.execute(
                "select * from ytcaption.media where id = %s", (media_id,)
            ).fetchone()
        if row is None:
            raise MediaNotFound(f"There is no media {media_id[:120]}.")
        return media_row(row)

    def versions(self, media_id: str, owner: str | None = None) -> MediaVersions:
        """A media and which of its transcriptions is the newest.

        Args:
            owner: who must have asked for them, as `Caller.sees_only` says; None: anybody.

        Raises:
            TranscriptionNotFound: no such media, or this owner has asked for none of it.
        """
        rows = self.postgres.rows(VERSIONS, {"media_id": media_id, "owner": owner})
        if not rows:
            raise TranscriptionNotFound(
                f"There is no transcription of {media_id[:120]}. Ask for one with its link."
            )
        [row] = rows
        latest = transcription_row(row) if row["status"] == "completed" else None
        return MediaVersions(self.media(media_id), row["versions"], row["completed"], latest)

    def segments(self, id: str) -> list[Segment]:
        """The text in time order; empty before it is there."""
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                "select * from ytcaption.segment where transcription_id = %s order by index", (id,)
            ).fetchall()
        return [segment_row(row) for row in rows]

    def events(self, id: str) -> list[EventRow]:
        """What happened to a transcription, oldest first."""
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                f"select {EVENT_COLUMNS} from ytcaption.event "  # noqa: S608
                "where transcription_id = %s order by number",
                (id,),
            ).fetchall()
        return [EventRow(**row) for row in rows]

    def timings(self, id: str) -> Timings:
        """How the text that is stored came about, as the events tell it."""
        rows = self.postgres.rows(_TIMINGS, {"id": id})
        return Timings(**rows[0]) if rows else UNKNOWN

    def counts(self) -> dict[TranscriptionStatus, int]:
        """How many transcriptions are in each status."""
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                "select status, count(*) as number from ytcaption.transcription group by status"
            ).fetchall()
        found = {row["status"]: row["number"] for row in rows}
        return {status: found.get(status.value, 0) for status in TranscriptionStatus}

    def completed_ids(self) -> list[str]:
        """All that have a result."""
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                "select id from ytcaption.transcription where status = 'completed' order by id"
            ).fetchall()
        return [row["id"] for row in rows]

    def list_recent(self, limit: int = 50) -> list[TranscriptionRow]:
        """The newest transcriptions first."""
        with self.postgres.transaction() as connection:
            rows = connection.execute(
                "select * from ytcaption.transcription order by created_at desc, id limit %s",
                (limit,),
            ).fetchall()
        return [transcription_row(row) for row in rows]
