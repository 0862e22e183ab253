"""Rows that nobody will come back to by themselves."""

from collections.abc import Sequence

from resources.maintenance.check import Check, Mended, Parts, one_by_one
from resources.webhooks.outbox import wake_notifiers

_LATE_S = 60.0


def _ended_leases(parts: Parts) -> list[str]:
    rows = parts.postgres.rows(
        "select id::text from ytcaption.delivery where status = 'waiting' "
        "and leased_until < now() - make_interval(secs => %(late_s)s) order by id",
        {"late_s": _LATE_S},
    )
    return [row["id"] for row in rows]


def _give_back(parts: Parts, ids: Sequence[str]) -> Mended:
    with parts.postgres.transaction() as connection:
        rows = connection.execute(
            "update ytcaption.delivery set lease = null, leased_until = null "
            "where id = any(%s::uuid[]) and leased_until < now() returning id::text",
            (list(ids),),
        ).fetchall()
        wake_notifiers(connection)
    return Mended(done=[row["id"] for row in rows])


def _left_drafts(parts: Parts) -> list[str]:
    rows = parts.postgres.rows(
        "select distinct transcription_id as id from ytcaption.draft_segment d "
        "join ytcaption.transcription t on t.id = d.transcription_id "
        "where t.status <> 'running' order by 1",
        {},
    )
    return [row["id"] for row in rows]


def _forget_drafts(parts: Parts, ids: Sequence[str]) -> Mended:
    with parts.postgres.transaction() as connection:
        connection.execute(
            "delete from ytcaption.draft_segment d using ytcaption.transcription t "
            "where t.id = d.transcription_id and t.status <> 'running' and t.id = any(%s)",
            (list(ids),),
        )
    return Mended(done=list(ids))


def _finish_erasure(parts: Parts, id: str) -> bool:
    return parts.erasure.erase(id)


ROW_CHECKS = (
    Check(
        "delivery_lease_ended",
        "webhook deliveries whose notifier died, and that no other has taken up",
        "given back; they are sent while a notifier runs",
        _ended_leases,
        _give_back,
    ),
    Check(
        "draft_left",
        "transcriptions that do not run and have drafts of their text",
        "the drafts go",
        _left_drafts,
        _forget_drafts,
    ),
)

ERASURE_CHECK = Check(
    "erasure_unfinished",
    "transcriptions whose erasure was cut short",
    "erased to the end",
    lambda parts: parts.erasure.unfinished(),
    one_by_one(_finish_erasure),
)
