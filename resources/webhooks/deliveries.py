"""The log of deliveries: sent, waiting and dead ones, and sending them again."""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from resources.webhooks.outbox import wake_notifiers
from ytcaption.domain.errors import DeliveryNotFound, WebhookDisabled

logger = logging.getLogger(__name__)

Status = Literal["waiting", "delivered", "dead"]

_SELECT = """
select delivery.*, coalesce((
    select jsonb_agg(jsonb_build_object(
        'number', number, 'at', at, 'took_s', took_s, 'outcome', outcome,
        'status_code', status_code, 'answer', answer) order by number desc)
    from (
        select * from ytcaption.delivery_attempt
        where delivery_id = delivery.id order by number desc limit 10
    ) as latest
), '[]') as attempts
from ytcaption.delivery
"""

_REQUEUE = """
update ytcaption.delivery
set status = 'waiting', series_start = attempt, next_attempt_at = now(), settled_at = null,
    lease = null, leased_until = null,
    -- The webhook's URL may have changed; a callback has its own.
    url = coalesce((select webhook.url from ytcaption.webhook where id = webhook_id), url)
"""


@dataclass(frozen=True)
class SentAttempt:
    """One attempt to send.

    Attributes:
        number: from 1.
        outcome: `delivered`, or why not.
        answer: the beginning of the response's body.
    """

    number: int
    at: datetime
    took_s: float
    outcome: str
    status_code: int | None
    answer: str


@dataclass(frozen=True)
class Delivery:
    """One event for one receiver.

    Attributes:
        event_id: the `webhook-id`.
        attempt: number of attempts so far.
        next_attempt_at: None unless it waits.
        attempts: the last ten, the latest first.
    """

    id: UUID
    webhook_id: UUID
    owner: str
    url: str
    event_id: UUID
    event_type: str
    transcription_id: str | None
    status: Status
    attempt: int
    last_outcome: str | None
    next_attempt_at: datetime | None
    created_at: datetime
    settled_at: datetime | None
    attempts: tuple[SentAttempt, ...]


@dataclass(frozen=True)
class DeadFilter:
    """Conditions on dead letters; None matches all."""

    webhook_id: UUID | None = None
    owner: str | None = None
    outcome: str | None = None


class Deliveries:
    """Reads deliveries and sends them again."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    def of_webhook(
        self, webhook_id: UUID, *, status: Status | None, before: UUID | None, limit: int
    ) -> list[Delivery]:
        """Return a webhook's deliveries, the latest first.

        Args:
            before: id of the last one on the previous page; ids are in order of time.
        """
        rows = self._postgres.rows(
            _SELECT
            + """
            where webhook_id = %(webhook_id)s
                and (%(status)s::text is null or status = %(status)s)
                and (%(before)s::uuid is null or id < %(before)s)
            order by id desc limit %(limit)s
            """,
            {"webhook_id": webhook_id, "status": status, "before": before, "limit": limit},
        )
        return [_delivery(row) for row in rows]

    def one(self, webhook_id: UUID, id: UUID) -> Delivery:
        """Return one delivery of a webhook.

        Raises:
            DeliveryNotFound: the webhook has no delivery of this id.
        """
        rows = self._postgres.rows(
            _SELECT + "where id = %(id)s and webhook_id = %(webhook_id)s",
            {"id": id, "webhook_id": webhook_id},
        )
        if not rows:
            raise DeliveryNotFound("The webhook has no such delivery.")
        return _delivery(rows[0])

    def redeliver(self, webhook_id: UUID, id: UUID) -> None:
        """Send a delivery again now, whatever its status: the same `webhook-id`, new attempts.

        Raises:
            DeliveryNotFound: the webhook has no delivery of this id.
            WebhookDisabled: the webhook is disabled.
        """
        with self._postgres.transaction() as connection:
            webhook = connection.execute(
                "select disabled_at from ytcaption.webhook where id = %s for key share",
                (webhook_id,),
            ).fetchone()
            if webhook is not None and webhook["disabled_at"] is not None:
                raise WebhookDisabled("The webhook is disabled. Enable it first: enabled = true.")
            queued = connection.execute(
                _REQUEUE + "where id = %s and webhook_id = %s", (id, webhook_id)
            )
            if queued.rowcount == 0:
                raise DeliveryNotFound("The webhook has no such delivery.")
            wake_notifiers(connection)

    def dead(self, matching: DeadFilter, *, before: UUID | None, limit: int) -> list[Delivery]:
        """Return the dead letters of all owners, the latest first."""
        rows = self._postgres.rows(
            _SELECT
            + """
            where status = 'dead' and (%(before)s::uuid is null or id < %(before)s)
                and (%(webhook_id)s::uuid is null or webhook_id = %(webhook_id)s)
                and (%(owner)s::text is null or owner = %(owner)s)
                and (%(outcome)s::text is null or last_outcome = %(outcome)s)
            order by id desc limit %(limit)s
            """,
            {**matching.__dict__, "before": before, "limit": limit},
        )
        return [_delivery(row) for row in rows]

    def replay(self, matching: DeadFilter, by: str) -> int:
        """Send the matching dead letters again, except those of disabled webhooks.

        Returns:
            their number.
        """
        with self._postgres.transaction() as connection:
            number = _replayed(connection, matching)
            wake_notifiers(connection)
        logger.warning("%d dead letters sent again by %s: %s", number, by, matching)
        return number


def _replayed(connection: Connection[DictRow], matching: DeadFilter) -> int:
    return connection.execute(
        _REQUEUE  # noqa: S608 - of literals only
        + """
        where status = 'dead'
            and (%(webhook_id)s::uuid is null or webhook_id = %(webhook_id)s)
            and (%(owner)s::text is null or owner = %(owner)s)
            and (%(outcome)s::text is null or last_outcome = %(outcome)s)
            and webhook_id in (select id from ytcaption.webhook where disabled_at is null)
        """,
        matching.__dict__,
    ).rowcount


def _delivery(row: DictRow) -> Delivery:
    values: dict[str, Any] = {name: row[name] for name in Delivery.__dataclass_fields__}
    if row["status"] != "waiting":
        values["next_attempt_at"] = None
    values["attempts"] = tuple(
        SentAttempt(**each | {"at": datetime.fromisoformat(each["at"])}) for each in row["attempts"]
    )
    return Delivery(**values)
