"""Webhooks: the URLs to which owners have events of their transcriptions sent.

`owner` is always `Caller.sees_only`: None acts for all owners. The callbacks of an owner (the
`callback_url` of requests) share one webhook without a URL, and so one secret.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString
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
from ytcaption.settings.settings import Settings

MAX_WEBHOOKS = 20
"""Most webhooks of one owner."""

Include = Literal["result"]


@dataclass(frozen=True)
class Webhook:
    """One webhook.

    Attributes:
        url: None for an owner's callbacks.
        include: `result`: events carry the text as well if it is short.
        disabled_reason: `owner`; `gone`: the receiver answered 410; `revoked`: the owner's key was
            revoked or has expired.
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
        """Return the webhook of a row with all columns; a later version may have added some."""
        values: dict[str, Any] = {name: row[name] for name in cls.__dataclass_fields__}
        values["event_types"] = tuple(values["event_types"])
        return cls(**values)


@dataclass(frozen=True)
class Secrets:
    """The secrets that sign a webhook's deliveries.

    Attributes:
        earlier: these sign as well until a day after they were replaced.
    """

    secret: str
    earlier: tuple[str, ...]


class Webhooks:
    """Creates, reads and changes webhooks.

    Methods raise WebhookNotFound for an id that does not exist or is another owner's, and
    DatabaseUnavailable.
    """

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
        """Create a webhook; return it and its secret.

        Raises:
            InvalidUrl, BlockedAddress: the URL is not allowed.
            InvalidOption: an event is unknown, or the secret has another form.
            TooManyWebhooks: the owner has `MAX_WEBHOOKS` already.
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
            if number is not None and number["number"] >= MAX_WEBHOOKS:
                raise TooManyWebhooks(
                    f"One key may have at most {MAX_WEBHOOKS} webhooks. Delete one."
                )
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
        """Return the owner's webhooks, the oldest first, without the one of callbacks."""
        rows = self._postgres.rows(
            "select * from ytcaption.webhook where url is not null "
            "and (%(owner)s::text is null or owner = %(owner)s) order by id",
            {"owner": owner},
        )
        return [Webhook.of_row(row) for row in rows]

    def get(self, id: UUID, owner: str | None) -> Webhook:
        """Return one webhook."""
        with self._postgres.transaction() as connection:
            return Webhook.of_row(_row(connection, id, owner))

    def callbacks_of(self, owner: str, *, create: bool) -> UUID:
        """Return the id of the webhook of an owner's callbacks.

        Args:
            create: create it if there is none.
        """
        with self._postgres.transaction() as connection:
            if create:
                connection.execute(
                    "insert into ytcaption.webhook (owner) values (%s) "
                    "on conflict (owner) where url is null do nothing",
                    (owner,),
                )
            row = connection.execute(
                "select id from ytcaption.webhook where owner = %s and url is null", (owner,)
            ).fetchone()
        if row is None:
            raise WebhookNotFound("None of your requests has had a callback_url yet.")
        return row["id"]

    def change(self, id: UUID, owner: str | None, changes: dict[str, Any]) -> Webhook:
        """Change `url`, `event_types`, `include`, `description` or `enabled`.

        Disabling ends the waiting deliveries; an enabled webhook gets later events only. What
        waits is sent to the new URL.

        Raises:
            InvalidUrl, BlockedAddress, InvalidOption: as `create`.
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
            if changed["url"] != row["url"]:
                connection.execute(
                    "update ytcaption.delivery set url = %s "
                    "where webhook_id = %s and status = 'waiting'",
                    (changed["url"], id),
                )
        return Webhook.of_row(changed)

    def delete(self, id: UUID, owner: str | None) -> None:
        """Delete a webhook with its secrets and deliveries."""
        with self._postgres.transaction() as connection:
            _has_url(_row(connection, id, owner, lock="for update"))
            connection.execute("delete from ytcaption.webhook where id = %s", (id,))

    def secrets(self, id: UUID, owner: str | None) -> Secrets:
        """Return the secrets that sign now.

        Raises:
            SecretUnreadable: the installation's key has changed since they were stored.
        """
        with self._postgres.transaction() as connection:
            _row(connection, id, owner)
            return _secrets(signing_secrets(connection, self._box, id))

    def rotate(self, id: UUID, owner: str | None, secret: str | None = None) -> Secrets:
        """Replace the secret; the earlier one signs as well for a day.

        Raises:
            InvalidOption: the secret has another form.
        """
        secret = new_secret() if secret is None else checked_secret(secret)
        with self._postgres.transaction() as connection:
            _row(connection, id, owner, lock="for no key update")
            rotate_secret(connection, self._box, id, secret)
            return _secrets(signing_secrets(connection, self._box, id))

    def ping(self, id: UUID, owner: str | None) -> UUID:
        """Send a test event; return the delivery's id.

        Raises:
            WebhookDisabled: the webhook is disabled.
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
    """Return the events, each once, in the order of `EVENT_TYPES`.

    Raises:
        InvalidOption: no event, or an unknown one.
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
        raise WebhookNotFound(
            "This webhook belongs to callbacks of requests, and has only secrets and deliveries."
        )


def _secrets(signing: list[str]) -> Secrets:
    return Secrets(signing[0], tuple(signing[1:]))
