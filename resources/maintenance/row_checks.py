"""Checks of rows that no process would handle by itself."""

from collections.abc import Sequence

from resources.auth.api_keys import ApiKeys
from resources.maintenance.check import Check, Installation, Repaired, one_by_one
from resources.webhooks.outbox import wake_notifiers

_LATE_S = 60.0
"""Seconds after the end of its lease from which a delivery counts as lost."""


def _ended_leases(installation: Installation) -> list[str]:
    rows = installation.postgres.rows(
        "select id::text from ytcaption.delivery where status = 'waiting' "
        "and leased_until < now() - make_interval(secs => %(late_s)s) order by id",
        {"late_s": _LATE_S},
    )
    return [row["id"] for row in rows]


def _release(installation: Installation, ids: Sequence[str]) -> Repaired:
    with installation.postgres.transaction() as connection:
        rows = connection.execute(
            "update ytcaption.delivery set lease = null, leased_until = null "
            "where id = any(%s::uuid[]) and leased_until < now() returning id::text",
            (list(ids),),
        ).fetchall()
        wake_notifiers(connection)
    return Repaired(done=[row["id"] for row in rows])


def _left_drafts(installation: Installation) -> list[str]:
    rows = installation.postgres.rows(
        "select distinct transcription_id as id from ytcaption.draft_segment d "
        "join ytcaption.transcription t on t.id = d.transcription_id "
        "where t.status <> 'running' order by 1",
        {},
    )
    return [row["id"] for row in rows]


def _delete_drafts(installation: Installation, ids: Sequence[str]) -> Repaired:
    with installation.postgres.transaction() as connection:
        connection.execute(
            "delete from ytcaption.draft_segment d using ytcaption.transcription t "
            "where t.id = d.transcription_id and t.status <> 'running' and t.id = any(%s)",
            (list(ids),),
        )
    return Repaired(done=list(ids))


def _expired_keys(installation: Installation) -> list[str]:
    return ApiKeys(installation.api).expired()


def _end_keys(installation: Installation, _owners: Sequence[str]) -> Repaired:
    return Repaired(done=ApiKeys(installation.api).end_expired())


def _finish_erasure(installation: Installation, id: str) -> bool:
    if id not in installation.erasure.unfinished():
        return False  # it was requested again in the meantime
    return installation.erasure.erase(id)


ROW_CHECKS = (
    Check(
        "delivery_lease_ended",
        "webhook deliveries whose notifier died",
        "released; a running notifier sends them",
        _ended_leases,
        _release,
    ),
    Check(
        "draft_left",
        "transcriptions that are not running and have draft segments",
        "the drafts are deleted",
        _left_drafts,
        _delete_drafts,
    ),
    Check(
        "key_expired",
        "keys that have expired and still have webhooks and channels",
        "ended as revoked ones: webhooks are disabled, channels paused",
        _expired_keys,
        _end_keys,
    ),
)

ERASURE_CHECK = Check(
    "erasure_unfinished",
    "transcriptions whose erasure was interrupted",
    "the erasure is finished",
    lambda installation: installation.erasure.unfinished(),
    one_by_one(_finish_erasure),
)
