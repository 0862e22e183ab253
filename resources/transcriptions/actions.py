"""What an asker does to a transcription after asking: cancel it, withdraw from it, retry it."""

from typing import Literal, NamedTuple

from psycopg import Connection
from psycopg.rows import DictRow

from resources.events import add_event
from resources.postgres.connection import Postgres
from resources.postgres.notify import PROGRESS_CHANNEL, WORK_CHANNEL, notify
from resources.transcriptions.intake import ask_again
from resources.transcriptions.quotas import within_limits
from resources.transcriptions.rows import (
    TranscriptionRequest,
    TranscriptionRow,
    media_row,
    transcription_row,
)
from resources.transcriptions.state import VISIBLE, absent, cancel_row, locked_media, locked_row
from ytcaption.domain.caller import LOCAL_OWNER, Limits
from ytcaption.domain.errors import AlreadyCompleted, Forbidden, QuotaExceeded, TranscriptionBusy
from ytcaption.domain.events import EventType
from ytcaption.domain.request import TranscriptionStatus

Effect = Literal["canceled", "withdrawn", "unchanged"]


class Ended(NamedTuple):
    """What a cancel came to.

    Attributes:
        row: as it stands now. Of a canceled one, `run_id` and `attempt` name the run to be ended.
        effect: `withdrawn` where others have asked for it, too, and it goes on for them;
            `unchanged` where it was at rest.
    """

    row: TranscriptionRow
    effect: Effect


class TranscriptionActions:
    """Changes to one transcription by those who asked for it.

    Everywhere `owner` is `Caller.sees_only`: None acts for everybody. Methods raise
    TranscriptionNotFound and TranscriptionErased as `RequestStore.get`, and DatabaseUnavailable.
    """

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def cancel(self, id: str, owner: str | None) -> Ended:
        """Stop what is queued or running, unless others have asked for it, too: then the owner's
        own requests are taken back, and it goes on. What is at rest stays as it is."""
        with self._postgres.transaction() as connection:
            row = owned_row(connection, id, owner)
            effect: Effect = "unchanged"
            if not TranscriptionStatus(row["status"]).is_final:
                if owner is not None and has_other_requesters(connection, id, owner):
                    withdraw(connection, row, owner)
                    effect = "withdrawn"
                else:
                    cancel_row(connection, row)
                    effect = "canceled"
            return Ended(transcription_row(locked_row(connection, id)), effect)

    def retry(
        self,
        id: str,
        owner: str | None,
        *,
        force: bool = False,
        traceparent: str | None = None,
        asker: str = LOCAL_OWNER,
        limits: Limits | None = None,
    ) -> TranscriptionRow:
        """Queue anew what failed or was canceled; with `force` what is completed, too, downloaded
        and transcribed from the start. What is queued stays so.

        Args:
            asker: whose turn it takes and whose limits these are, as `Caller.owner` says.

        Raises:
            QuotaExceeded: the asker has as much as the limits allow.
            TranscriptionBusy: a run works on it.
            AlreadyCompleted: it is completed, and `force` was not given.
            Forbidden: `force` would take a result from others who asked for it.
        """
        with self._postgres.transaction() as connection:
            media = locked_media(connection, id)
            row = owned_row(connection, id, owner)
            status = TranscriptionStatus(row["status"])
            if status is TranscriptionStatus.RUNNING:
                raise TranscriptionBusy(
                    "A run is working on it. Wait for it to end, or cancel it, then retry."
                )
            if status is TranscriptionStatus.COMPLETED and not force:
                raise AlreadyCompleted("It is completed. Send force=true to have it made anew.")
            if status is TranscriptionStatus.QUEUED or media is None:
                return transcription_row(row)
            if force and owner is not None and has_other_requesters(connection, id, owner):
                raise Forbidden(
                    "Others asked for this transcription, too, so only a key with the scope admin "
                    "can have it made anew."
                )
            known = transcription_row(row)
            request = TranscriptionRequest(
                media_row(media).source, known.options, known.priority, force
            )
            if limits is not None:
                [allowed] = within_limits(connection, [request], asker, limits)
                if isinstance(allowed, QuotaExceeded):
                    raise allowed
            queued = ask_again(connection, row, request, asker, traceparent)
            assert queued is not None, "failed, canceled and forced ones are queued"
            told = {"attempt": queued["attempt"], "priority": queued["priority"]}
            add_event(connection, queued, EventType.QUEUED, told)
            notify(connection, WORK_CHANNEL, id)
            notify(connection, PROGRESS_CHANNEL, id)
            return transcription_row(queued)


def set_keep(postgres: Postgres, id: str, owner: str | None, keep: bool) -> None:
    """Say of all of the owner's requests for it whether they keep it; what others keep stays kept.

    Args:
        owner: as `Caller.sees_only` says; None speaks for everybody.

    Raises:
        TranscriptionNotFound, TranscriptionErased, DatabaseUnavailable.
    """
    with postgres.transaction() as connection:
        owned_row(connection, id, owner)
        connection.execute(
            "update ytcaption.request set keep = %(keep)s where transcription_id = %(id)s "
            "and (%(owner)s::text is null or owner = %(owner)s) and keep <> %(keep)s",
            {"keep": keep, "id": id, "owner": owner},
        )


def owned_row(connection: Connection[DictRow], id: str, owner: str | None) -> DictRow:
    """The row, held until the transaction ends, if the owner has asked for it and nobody has had it
    erased.

    Raises:
        TranscriptionNotFound, TranscriptionErased: as `RequestStore.get`.
    """
    values = {"id": id, "owner": owner}
    row = connection.execute(f"{VISIBLE} for update", values).fetchone()
    if row is None:
        raise absent(connection, id)
    return row


def has_other_requesters(connection: Connection[DictRow], id: str, owner: str) -> bool:
    """Whether somebody else has asked for it."""
    found = connection.execute(
        "select 1 from ytcaption.request where transcription_id = %s and owner <> %s limit 1",
        (id, owner),
    ).fetchone()
    return found is not None


def withdraw(connection: Connection[DictRow], row: DictRow, owner: str) -> None:
    """Take the owner's requests back; the transcription stays for the others. The owner is told no
    more of it."""
    connection.execute(
        "delete from ytcaption.delivery where transcription_id = %s and owner = %s",
        (row["id"], owner),
    )
    taken = connection.execute(
        "delete from ytcaption.request where transcription_id = %s and owner = %s",
        (row["id"], owner),
    )
    connection.execute(
        """
        update ytcaption.transcription t set owner = other.owner
        from (select owner from ytcaption.request
              where transcription_id = %(id)s order by id limit 1) as other
        where t.id = %(id)s and t.owner = %(owner)s
        """,
        {"id": row["id"], "owner": owner},
    )
    add_event(connection, row, EventType.REQUEST_WITHDRAWN, {"number": taken.rowcount})
