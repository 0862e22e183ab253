"""Webhooks: where owners are told of their transcriptions, and with which secrets.

Everywhere `owner` is `Caller.sees_only`: None acts for everybody. An owner's callbacks, the
`callback_url` of their requests, share one webhook without a URL, and so one secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString, cast
from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from resources.postgres.jsonb import clean
from resources.sites.resolve import checked_url
from resources.webhooks.outbox import end_waiting, wake_notifiers
from resources.webhooks.secret_box import SecretBox
from resources.webhooks.secrets import put_secret, rotate_secret, signing_secrets
from ytcaption.domain.errors import InvalidOption, TooManyWebhooks, WebhookDisabled, WebhookNotFound
from ytcaption.domain.webhook import EVENT_TYPES, PING, checked_secret, new_secret
from ytcaption.settings import Settings

MOST = 20
"""Webhooks of one owner."""

Include = Literal["result"]


@dataclass(frozen=True)
class Webhook:
    """One of them.

    Attributes:
        url: None of an owner's callbacks.
        include: `result`: the text, too, where it is short.
        disabled_reason: `owner`; `gone`: the receiver has answered 410; `revoked`: its key was.
    """

    id: UUID
    owner: str
    url: str | None
    description: str
    event_types: tuple[str, ...]
    include: Include | None
    disabled_at: datetime | None
    disabled_reason: Literal["owner", "gone", "revoked"] | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of_row(cls, row: DictRow) -> "Webhook":
        """From `select *`."""
        return cls(**cast(Any, row | {"event_types": tuple(row["event_types"])}))


@dataclass(frozen=True)
class Secrets:
    """What a webhook's deliveries are signed with.

    Attributes:
        earlier: those that sign, too, until a day after they were replaced.
    """

    secret: str
    earlier: tuple[str, ...]


class Webhooks:
    """Every statement on webhooks that people change. Methods raise WebhookNotFound for an id that
    is not there or another's, and DatabaseUnavailable."""

    def __init__(self, settings: Settings, postgres: Postgres) -> None:
        self._settings = settings
        self._postgres = postgres
        self._box = SecretBox(settings)

    def create(
        self,
        owner: str,
        url: str,
        *,
        event_types: Sequence[str],
        include: Include | None = None,
        description: str = "",
        secret: str | None = None,
    ) -> tuple[Webhook, str]:
        """A new one, and its secret.

        Raises:
            InvalidUrl, BlockedAddress: nothing is sent to this URL.
            InvalidOption: an event that there is not, or a secret that is none.
            TooManyWebhooks: the owner has `MOST` already.
        """
        url = checked_url(url, self._settings)
        secret = new_secret() if secret is None else checked_secret(secret)
        with self._postgres.transaction() as connection:
            connection.execute("select pg_advisory_xact_lock(hashtextextended(%s, 4))", (owner,))
            number = connection.execute(
                "select count(*) as number from ytcaption.webhook "
                "where owner = %s and url is not null",
                (owner,),
            ).fetchone()
            if number is not None and number["number"] >= MOST:
                raise TooManyWebhooks(f"{MOST} webhooks are all that one key may have. Delete one.")
            row = connection.execute(
                """
                insert into ytcaption.webhook (owner, url, description, event_types, include)
                values (%s, %s, %s, %s, %s) returning *
                """,
                (owner, url, clean(description), checked_events(event_types), include),
            ).fetchone()
            assert row is not None
            put_secret(connection, self._box, row["id"], secret)
        return Webhook.of_row(row), secret

    def all(self, owner: str | None) -> list[Webhook]:
        """The owner's, the oldest first, without their callbacks'."""
        rows = self._postgres.rows(
            "select * from ytcaption.webhook where url is not null "
            "and (%(owner)s::text is null or owner = %(owner)s) order by id",
            {"owner": owner},
        )
        return [Webhook.of_row(row) for row in rows]

    def get(self, id: UUID, owner: str | None) -> Webhook:
        """One."""
        with self._postgres.transaction() as connection:
            return Webhook.of_row(_row(connection, id, owner))

    def callbacks_of(self, owner: str) -> UUID:
        """The id of an owner's callbacks, which there are from the first use on."""
        with self._postgres.transaction() as connection:
            connection.execute(
                "insert into ytcaption.webhook (owner) values (%s) "
                "on conflict (owner) where url is null do nothing",
                (owner,),
            )
            row = connection.execute(
                "select id from ytcaption.webhook where owner = %s and url is null", (owner,)
            ).fetchone()
            assert row is not None
            return row["id"]

    def change(self, id: UUID, owner: str | None, changes: dict[str, Any]) -> Webhook:
        """With another `url`, `event_types`, `include`, `description` or `enabled`. What waits ends
        when it is disabled; once enabled, it is sent what comes from then on.

        Raises:
            as `create`.
        """
        values = dict(changes)
        if "url" in values:
            values["url"] = checked_url(values["url"], self._settings)
        if "event_types" in values:
            values["event_types"] = checked_events(values["event_types"])
        with self._postgres.transaction() as connection:
            row = _row(connection, id, owner, lock="for no key update")
            _has_url(row)
            enabled = values.pop("enabled", row["disabled_at"] is None)
            if not enabled and row["disabled_at"] is None:
                end_waiting(connection, id)
            changed = connection.execute(
                """
                update ytcaption.webhook
                set url = %(url)s, event_types = %(event_types)s, include = %(include)s,
                    description = %(description)s, updated_at = now(),
                    disabled_at = case when %(enabled)s then null
                        else coalesce(disabled_at, now()) end,
                    disabled_reason = case when %(enabled)s then null
                        else coalesce(disabled_reason, 'owner') end
                where id = %(id)s returning *
                """,
                row | clean(values) | {"enabled": enabled},
            ).fetchone()
            assert changed is not None
        return Webhook.of_row(changed)

    def delete(self, id: UUID, owner: str | None) -> None:
        """With its secrets and deliveries."""
        with self._postgres.transaction() as connection:
            _has_url(_row(connection, id, owner, lock="for update"))
            connection.execute("delete from ytcaption.webhook where id = %s", (id,))

    def secrets(self, id: UUID, owner: str | None) -> Secrets:
        """What signs.

        Raises:
            SecretUnreadable: the key of this installation is another one by now.
        """
        with self._postgres.transaction() as connection:
            _row(connection, id, owner)
            return _secrets(signing_secrets(connection, self._box, id))

    def rotate(self, id: UUID, owner: str | None, secret: str | None = None) -> Secrets:
        """Another secret; the one before signs beside it for a day.

        Raises:
            InvalidOption: the secret is none.
        """
        secret = new_secret() if secret is None else checked_secret(secret)
        with self._postgres.transaction() as connection:
            _row(connection, id, owner, lock="for no key update")
            rotate_secret(connection, self._box, id, secret)
            return _secrets(signing_secrets(connection, self._box, id))

    def ping(self, id: UUID, owner: str | None) -> UUID:
        """Have it told that it is there; the delivery's id.

        Raises:
            WebhookDisabled: nothing is sent to it.
        """
        with self._postgres.transaction() as connection:
            webhook = Webhook.of_row(_row(connection, id, owner))
            _has_url({"url": webhook.url})
            if webhook.disabled_at is not None:
                raise WebhookDisabled("The webhook is disabled. Enable it first: enabled = true.")
            row = connection.execute(
                "insert into ytcaption.delivery (webhook_id, owner, url, event_type) "
                "values (%s, %s, %s, %s) returning id",
                (id, webhook.owner, webhook.url, PING),
            ).fetchone()
            wake_notifiers(connection)
        assert row is not None
        return row["id"]


def checked_events(event_types: Sequence[str]) -> list[str]:
    """Those, each once, in our order.

    Raises:
        InvalidOption: none, or one that there is not.
    """
    if not event_types or set(event_types) - set(EVENT_TYPES):
        raise InvalidOption(f"Give one or more of the events {', '.join(EVENT_TYPES)}.")
    return [each for each in EVENT_TYPES if each in event_types]


def _row(
    connection: Connection[DictRow],
    id: UUID,
    owner: str | None,
    *,
    lock: LiteralString = "for key share",
) -> DictRow:
    row = connection.execute(
        "select * from ytcaption.webhook where id = %(id)s "  # noqa: S608 - of literals only
        f"and (%(owner)s::text is null or owner = %(owner)s) {lock}",
        {"id": id, "owner": owner},
    ).fetchone()
    if row is None:
        raise WebhookNotFound("There is no such webhook.")
    return row


def _has_url(row: dict[str, Any]) -> None:
    if row["url"] is None:
        raise WebhookNotFound("Callbacks are made by requests: they have secrets and deliveries.")


def _secrets(found: list[str]) -> Secrets:
    return Secrets(found[0], tuple(found[1:]))
