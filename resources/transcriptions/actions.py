"""Actions of requesters on a transcription: cancel, withdraw, retry, exempt from retention."""

from typing import Literal, NamedTuple

from psycopg import Connection
from psycopg.rows import DictRow

from resources.events import add_event
from resources.postgres.connection import Postgres
from resources.postgres.notify import PROGRESS_CHANNEL, WORK_CHANNEL, notify
from resources.transcriptions.intake import apply_request
from resources.transcriptions.quotas import within_limits
from resources.transcriptions.rows import (
    TranscriptionRequest,
    TranscriptionRow,
    stored_media_row,
    transcription_row,
)
from resources.transcriptions.state import VISIBLE, absent, cancel_row, locked_media, locked_row
from ytcaption.domain.caller import LOCAL_OWNER, Limits
from ytcaption.domain.errors import AlreadyCompleted, Forbidden, QuotaExceeded, TranscriptionBusy
from ytcaption.domain.events import EventType
from ytcaption.domain.request import TranscriptionStatus

Effect = Literal["canceled", "withdrawn", "unchanged"]


class CancelResult(NamedTuple):
    """The result of a cancel.

    Attributes:
        row: the row now. If canceled, its `run_id` and `attempt` name the run to end.
        effect: `withdrawn` if others have requested it, too, and it goes on for them; `unchanged`
            if it was finished already.
    """

    row: TranscriptionRow
    effect: Effect


class TranscriptionActions:
    """Changes to one transcription by its requesters.

    `owner` is always `Caller.sees_only`; None acts for all owners. Methods raise
    TranscriptionNotFound and TranscriptionErased as `get_transcription`, and DatabaseUnavailable.
    """

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def cancel(self, id: str, owner: str | None) -> CancelResult:
        """Cancel it if it is queued or running. If others have requested it, too, only withdraw the
        owner's requests."""
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
            result = CancelResult(transcription_row(locked_row(connection, id)), effect)
        if effect == "withdrawn":
            with self._postgres.transaction() as connection:
                use_remaining_link(connection, id)
        return result

    def retry(
        self,
        id: str,
        owner: str | None,
        *,
        force: bool = False,
        traceparent: str | None = None,
        requester: str = LOCAL_OWNER,
        limits: Limits | None = None,
    ) -> TranscriptionRow:
        """Queue a failed or canceled transcription again; with `force` a completed one, too, which
        is then downloaded and transcribed from the start. A queued one stays queued.

        Args:
            requester: owner in the fair queue from now on (`Caller.owner`).
            limits: quotas of the requester; None: no limits.

        Raises:
            QuotaExceeded: the requester has reached a limit.
            TranscriptionBusy: a run works on it.
            AlreadyCompleted: it is completed, and `force` was not given.
            Forbidden: `force` would delete a result that others requested, too.
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
                raise AlreadyCompleted(
                    "The transcription is completed. Send force=true to transcribe it again."
                )
            if status is TranscriptionStatus.QUEUED or media is None:
                return transcription_row(row)
            if force and owner is not None and has_other_requesters(connection, id, owner):
                raise Forbidden(
                    "Others have requested this transcription, too, so only a key with the scope "
                    "admin can have it made again."
                )
            current = transcription_row(row)
            request = TranscriptionRequest(
                stored_media_row(media).source, current.options, current.priority, force
            )
            if limits is not None:
                [answer] = within_limits(connection, [request], requester, limits)
                if isinstance(answer, QuotaExceeded):
                    raise answer
            queued = apply_request(connection, row, request, requester, traceparent)
            assert queued is not None, "failed, canceled and forced ones are queued"
            data = {"attempt": queued["attempt"], "priority": queued["priority"]}
            add_event(connection, queued, EventType.QUEUED, data)
            notify(connection, WORK_CHANNEL, id)
            notify(connection, PROGRESS_CHANNEL, id)
            return transcription_row(queued)


def set_pinned(postgres: Postgres, id: str, owner: str | None, pinned: bool) -> None:
    """Set or clear the retention exemption in all of the owner's requests for a transcription. It
    stays exempt while another owner's request says so.

    Args:
        owner: `Caller.sees_only`; None: all owners.

    Raises:
        TranscriptionNotFound, TranscriptionErased, DatabaseUnavailable.
    """
    with postgres.transaction() as connection:
        owned_row(connection, id, owner)
        connection.execute(
            "update ytcaption.request set keep = %(pinned)s where transcription_id = %(id)s "
            "and (%(owner)s::text is null or owner = %(owner)s) and keep <> %(pinned)s",
            {"pinned": pinned, "id": id, "owner": owner},
        )


def owned_row(connection: Connection[DictRow], id: str, owner: str | None) -> DictRow:
    """Return the row, locked until the transaction ends, if the owner may see it.

    Raises:
        TranscriptionNotFound, TranscriptionErased: as `get_transcription`.
    """
    values = {"id": id, "owner": owner}
    row = connection.execute(f"{VISIBLE} for update", values).fetchone()
    if row is None:
        raise absent(connection, id, owner)
    return row


def has_other_requesters(connection: Connection[DictRow], id: str, owner: str) -> bool:
    """Whether another owner has requested it, too."""
    request = connection.execute(
        "select 1 from ytcaption.request where transcription_id = %s and owner <> %s limit 1",
        (id, owner),
    ).fetchone()
    return request is not None


def withdraw(connection: Connection[DictRow], row: DictRow, owner: str) -> None:
    """Delete the owner's requests and pending webhook deliveries; the transcription stays for the
    other owners. Call `use_remaining_link` in the next transaction."""
    connection.execute(
        "delete from ytcaption.delivery where transcription_id = %s and owner = %s",
        (row["id"], owner),
    )
    deleted = connection.execute(
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
    add_event(connection, row, EventType.REQUEST_WITHDRAWN, {"number": deleted.rowcount})


def use_remaining_link(connection: Connection[DictRow], id: str) -> None:
    """Let the next download use a link of those who still request the media, after an owner has
    withdrawn: a link may be signed for its owner.

    It locks the media's row, so no transcription may be locked before (`intake` locks it first).
    """
    connection.execute(
        """
        with requested as (
            select media_id, request.id, url from ytcaption.transcription
            join ytcaption.request on transcription_id = transcription.id
            where url is not null and media_id = (
                select media_id from ytcaption.transcription where id = %s)
        ), latest as (select * from requested order by id desc limit 1)
        update ytcaption.media set url = latest.url, updated_at = now() from latest
        where media.id = latest.media_id and kind = 'direct'
            and media.url not in (select url from requested)
        """,
        (id,),
    )
