"""The outbox of webhooks: deliveries to send, which `resources.webhooks.notifier` claims.

A trigger on `ytcaption.event` adds the rows in the transaction of their event
(docs/adr/security-rules.md#rule-24). A claim holds a lease: if its notifier dies, another one
claims the delivery after the lease, so that each is sent at least once. Rows are locked in the
order webhook, delivery.
"""

import random
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from resources.postgres.jsonb import clean
from resources.webhooks.message import Message
from ytcaption.domain.webhook import next_delay_s

DELIVERY_CHANNEL = "ytcaption_delivery"

LEASE_S = 30.0
"""Twice the longest time of an attempt."""

PER_LANE = 4
"""Most deliveries in progress to one host of one webhook, over all notifiers."""

PER_OWNER = 16
"""Most deliveries in progress for one owner, over all notifiers."""

Outcome = Literal[
    "delivered", "gone", "redirected", "refused", "server_error", "timeout", "unreachable",
    "blocked_address", "bad_answer", "secret_unreadable",
]  # fmt: skip

# The first delivery of each lane, by a walk along the index: a lane's length costs nothing.
_CLAIM = """
with recursive lane as (
    (select lane as name from ytcaption.delivery where status = 'waiting' order by lane limit 1)
    union all
    select (
        select lane from ytcaption.delivery
        where status = 'waiting' and delivery.lane > lane.name order by lane limit 1
    ) from lane where name is not null
), busy as (
    select lane, owner, count(*) as number from ytcaption.delivery
    where lease is not null and leased_until > now() group by lane, owner
), by_lane as (
    select due.* from lane cross join lateral (
        select id, owner, next_attempt_at from ytcaption.delivery
        where status = 'waiting' and delivery.lane = lane.name and next_attempt_at <= now()
            and (leased_until is null or leased_until <= now())
        order by next_attempt_at, id
        limit greatest(0, %(per_lane)s - coalesce(
            (select number from busy where busy.lane = lane.name), 0))
    ) as due where lane.name is not null
), by_owner as (
    select *, row_number() over (partition by owner order by next_attempt_at, id)
        + coalesce((select sum(number) from busy where busy.owner = by_lane.owner), 0) as rank
    from by_lane
    where not exists (select from ytcaption.expired_key where expired_key.owner = by_lane.owner)
), claimed as (
    select delivery.id from ytcaption.delivery join by_owner using (id)
    where rank <= %(per_owner)s and status = 'waiting'
        and (leased_until is null or leased_until <= now())
    order by by_owner.next_attempt_at, id
    limit %(slots)s
    for update of delivery skip locked
)
update ytcaption.delivery
set lease = gen_random_uuid(), leased_until = now() + make_interval(secs => %(lease_s)s)
from claimed where delivery.id = claimed.id
returning delivery.*
"""


@dataclass(frozen=True)
class ClaimedDelivery:
    """A delivery that this notifier must send before its lease ends."""

    id: UUID
    lease: UUID
    url: str
    message: Message


@dataclass(frozen=True)
class Attempt:
    """The outcome of one attempt to send.

    Attributes:
        answer: the beginning of the response's body.
        retry_after_s: as the receiver asks.
    """

    outcome: Outcome
    took_s: float
    status_code: int | None = None
    answer: str = ""
    retry_after_s: float | None = None


class Outbox:
    """The statements of a notifier on deliveries."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def claim(self, slots: int) -> list[ClaimedDelivery]:
        """Claim due deliveries, within the limits for each lane and owner.

        Args:
            slots: most deliveries to claim.
        """
        values = {
            "slots": slots,
            "per_lane": PER_LANE,
            "per_owner": PER_OWNER,
            "lease_s": LEASE_S,
        }
        with self._postgres.transaction() as connection:
            rows = connection.execute(_CLAIM, values).fetchall()
        return [
            ClaimedDelivery(row["id"], row["lease"], row["url"], Message.of_delivery(row))
            for row in rows
        ]

    def settle(self, claimed: ClaimedDelivery, attempt: Attempt) -> None:
        """Record an attempt and set the delivery to delivered, waiting or dead.

        The outcome `gone` also disables the webhook. Do nothing if the lease has passed to another
        notifier, or the delivery was erased.
        """
        with self._postgres.transaction() as connection:
            if attempt.outcome == "gone":
                connection.execute(
                    "select from ytcaption.webhook where id = %s for no key update",
                    (claimed.message.webhook_id,),
                )
            row = connection.execute(
                "select * from ytcaption.delivery where id = %s and lease = %s for update",
                (claimed.id, claimed.lease),
            ).fetchone()
            if row is None:
                return
            connection.execute(
                """
                insert into ytcaption.delivery_attempt
                    (delivery_id, number, took_s, outcome, status_code, answer)
                values (%s, %s, %s, %s, %s, %s)
                """,
                (
                    *(row["id"], row["attempt"] + 1, attempt.took_s, attempt.outcome),
                    *(attempt.status_code, clean(attempt.answer)),
                ),
            )
            self._set_status(connection, row, attempt)
            if attempt.outcome == "gone":
                _disable(connection, row)

    def release(self, claimed: list[ClaimedDelivery]) -> None:
        """Release deliveries that were not sent, for other notifiers to claim at once."""
        with self._postgres.transaction() as connection:
            connection.execute(
                "update ytcaption.delivery set lease = null, leased_until = null "
                "where lease = any(%s)",
                ([each.lease for each in claimed],),
            )
            wake_notifiers(connection)

    def next_due_in_s(self) -> float | None:
        """Return the seconds until the next attempt that is not due yet; None without any."""
        with self._postgres.transaction() as connection:
            row = connection.execute(
                """
                select extract(epoch from min(next_attempt_at) - now())::float8 as due_in_s
                from ytcaption.delivery where status = 'waiting' and next_attempt_at > now()
                """
            ).fetchone()
        return row["due_in_s"] if row else None

    def delete_old(self, days: float) -> int:
        """Delete deliveries that ended more than `days` ago; return their number."""
        with self._postgres.transaction() as connection:
            return connection.execute(
                "delete from ytcaption.delivery where status <> 'waiting' "
                "and settled_at < now() - make_interval(secs => %s * 86400.0)",
                (days,),
            ).rowcount

    @staticmethod
    def _set_status(connection: Connection[DictRow], row: DictRow, attempt: Attempt) -> None:
        chance = random.random()  # noqa: S311 - no secret
        attempts = row["attempt"] + 1 - row["series_start"]
        delay_s = next_delay_s(attempts, chance, attempt.retry_after_s)
        if attempt.outcome == "delivered":
            status = "delivered"
        else:
            status = "dead" if delay_s is None or attempt.outcome == "gone" else "waiting"
        connection.execute(
            """
            update ytcaption.delivery
            set status = %(status)s, attempt = attempt + 1, last_outcome = %(outcome)s,
                next_attempt_at = now() + make_interval(secs => %(delay_s)s),
                settled_at = case %(status)s when 'waiting' then null else now() end,
                lease = null, leased_until = null
            where id = %(id)s
            """,
            {
                "status": status,
                "outcome": attempt.outcome,
                "delay_s": delay_s or 0.0,
                "id": row["id"],
            },
        )


def wake_notifiers(connection: Connection[DictRow]) -> None:
    """Notify notifiers, once the transaction is committed, that a delivery is due."""
    connection.execute("select pg_notify(%s, '')", (DELIVERY_CHANNEL,))


def end_waiting(
    connection: Connection[DictRow], webhook_id: UUID | str, url: str | None = None
) -> None:
    """Set the waiting deliveries of a webhook, or of one of its URLs, to dead."""
    connection.execute(
        """
        update ytcaption.delivery
        set status = 'dead', settled_at = now(), lease = null, leased_until = null,
            last_outcome = coalesce(last_outcome, 'disabled')
        where webhook_id = %(webhook_id)s and status = 'waiting'
            and (%(url)s::text is null or url = %(url)s)
        """,
        {"webhook_id": webhook_id, "url": url},
    )


def _disable(connection: Connection[DictRow], delivery: dict[str, Any]) -> None:
    """Send nothing more to a receiver that answered 410: to a webhook, or to a callback's URL."""
    disabled = connection.execute(
        """
        update ytcaption.webhook
        set disabled_at = now(), disabled_reason = 'gone', updated_at = now()
        where id = %s and url is not null and disabled_at is null
        """,
        (delivery["webhook_id"],),
    )
    if disabled.rowcount:
        end_waiting(connection, delivery["webhook_id"])
        connection.execute(
            "select ytcaption.raise_alert('webhook_disabled', %s, %s)",
            (str(delivery["webhook_id"]), str(delivery["webhook_id"])),
        )
        return
    end_waiting(connection, delivery["webhook_id"], delivery["url"])
    connection.execute(
        """
        update ytcaption.request set callback_url = null
        where owner = %(owner)s and callback_url = %(url)s
        """,
        delivery,
    )
