"""The outbox of webhooks: claims deliveries, which `resources.webhooks.notifier` sends.

Rows come from a trigger on `ytcaption.event`, in the transaction of what they tell (rule 24). A
claim holds a lease: whoever dies with it leaves the delivery to the next one, so that each is sent
at least once. Rows are locked in the order webhook, delivery.
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
"""Twice what an attempt may take."""

PER_LANE = 4
"""Deliveries under way to one host of one webhook, by all notifiers together."""

PER_OWNER = 16

Outcome = Literal[
    "delivered", "gone", "redirected", "refused", "server_error", "timeout", "unreachable",
    "blocked_address", "bad_answer", "secret_unreadable",
]  # fmt: skip

# The first of each lane by a walk along the index: a lane's length costs nothing.
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
        + coalesce((select sum(number) from busy where busy.owner = by_lane.owner), 0) as place
    from by_lane
), claimed as (
    select delivery.id from ytcaption.delivery join by_owner using (id)
    where place <= %(per_owner)s and status = 'waiting'
        and (leased_until is null or leased_until <= now())
    order by by_owner.next_attempt_at, id
    limit %(places)s
    for update of delivery skip locked
)
update ytcaption.delivery
set lease = gen_random_uuid(), leased_until = now() + make_interval(secs => %(lease_s)s)
from claimed where delivery.id = claimed.id
returning delivery.*
"""


@dataclass(frozen=True)
class Claimed:
    """A delivery that is this notifier's to send, until its lease ends."""

    id: UUID
    lease: UUID
    url: str
    message: Message


@dataclass(frozen=True)
class Attempt:
    """What came of sending.

    Attributes:
        answer: the beginning of the body.
        retry_after_s: as the receiver asked for.
    """

    outcome: Outcome
    took_s: float
    status_code: int | None = None
    answer: str = ""
    retry_after_s: float | None = None


class Outbox:
    """Every statement of a notifier on deliveries."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def claim(self, places: int) -> list[Claimed]:
        """Up to so many that are due, of no lane and no owner more than their share."""
        values = {
            "places": places,
            "per_lane": PER_LANE,
            "per_owner": PER_OWNER,
            "lease_s": LEASE_S,
        }
        with self._postgres.transaction() as connection:
            rows = connection.execute(_CLAIM, values).fetchall()
        return [
            Claimed(row["id"], row["lease"], row["url"], Message.of_delivery(row)) for row in rows
        ]

    def settle(self, claimed: Claimed, attempt: Attempt) -> None:
        """Write down an attempt and what follows: done, the next one, dead; with `gone` the webhook
        is off, too. Nothing where the lease is another's by now, or the delivery was erased.
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
            self._follow(connection, row, attempt)
            if attempt.outcome == "gone":
                _disable(connection, row)

    def release(self, claimed: list[Claimed]) -> None:
        """Give back what was not sent: others may claim it at once."""
        with self._postgres.transaction() as connection:
            connection.execute(
                "update ytcaption.delivery set lease = null, leased_until = null "
                "where lease = any(%s)",
                ([each.lease for each in claimed],),
            )
            wake_notifiers(connection)

    def next_due_in_s(self) -> float | None:
        """Seconds until the next attempt that is not due yet; None without any."""
        with self._postgres.transaction() as connection:
            row = connection.execute(
                """
                select extract(epoch from min(next_attempt_at) - now())::float8 as due_in_s
                from ytcaption.delivery where status = 'waiting' and next_attempt_at > now()
                """
            ).fetchone()
        return row["due_in_s"] if row else None

    def forget_old(self, days: float) -> int:
        """Takes away what was settled so long ago; how many."""
        with self._postgres.transaction() as connection:
            return connection.execute(
                "delete from ytcaption.delivery where status <> 'waiting' "
                "and settled_at < now() - make_interval(secs => %s * 86400.0)",
                (days,),
            ).rowcount

    @staticmethod
    def _follow(connection: Connection[DictRow], row: DictRow, attempt: Attempt) -> None:
        chance = random.random()  # noqa: S311 - no secret
        made = row["attempt"] + 1 - row["series_start"]
        delay_s = next_delay_s(made, chance, attempt.retry_after_s)
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
    """Tell them that something is due, once the transaction is committed."""
    connection.execute("select pg_notify(%s, '')", (DELIVERY_CHANNEL,))


def end_waiting(
    connection: Connection[DictRow], webhook_id: UUID | str, url: str | None = None
) -> None:
    """What waits for a webhook, or one URL of it, is dead: nothing is sent there."""
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
    """The receiver wants no more (410): of a webhook nothing, of callbacks nothing to this URL."""
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
