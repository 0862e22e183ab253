"""The secrets that sign a webhook's deliveries: the current one, and earlier ones for a day.

See docs/adr/security-rules.md#rule-23.
"""

from uuid import UUID

from psycopg import Connection
from psycopg.rows import DictRow

from resources.webhooks.secret_box import SecretBox
from ytcaption.domain.webhook import new_secret

OVERLAP_H = 24
"""Time after a rotation in which the earlier secret signs as well."""


def signing_secrets(connection: Connection[DictRow], box: SecretBox, webhook_id: UUID) -> list[str]:
    """Return the secrets that sign now, the current one first; create it at the first use.

    Raises:
        SecretUnreadable, SetupError: as `SecretBox.open`.
    """
    rows = _sealed(connection, webhook_id)
    if not rows or rows[0]["ends_at"] is not None:
        put_secret(connection, box, webhook_id, new_secret())
        rows = _sealed(connection, webhook_id)
    return [box.open(row["sealed"]) for row in rows]


def put_secret(
    connection: Connection[DictRow], box: SecretBox, webhook_id: UUID, secret: str
) -> None:
    """Make this the current secret unless there is one: of two concurrent calls the first wins."""
    connection.execute(
        """
        insert into ytcaption.webhook_secret (webhook_id, sealed) values (%s, %s)
        on conflict (webhook_id) where ends_at is null do nothing
        """,
        (webhook_id, box.seal(secret)),
    )


def rotate_secret(
    connection: Connection[DictRow], box: SecretBox, webhook_id: UUID, secret: str
) -> None:
    """Make this the current secret; the one before signs as well for `OVERLAP_H`.

    The caller must hold the webhook's row.
    """
    connection.execute(
        "delete from ytcaption.webhook_secret where webhook_id = %s and ends_at <= now()",
        (webhook_id,),
    )
    connection.execute(
        "update ytcaption.webhook_secret set ends_at = now() + make_interval(hours => %s) "
        "where webhook_id = %s and ends_at is null",
        (OVERLAP_H, webhook_id),
    )
    put_secret(connection, box, webhook_id, secret)


def _sealed(connection: Connection[DictRow], webhook_id: UUID) -> list[DictRow]:
    return connection.execute(
        """
        select sealed, ends_at from ytcaption.webhook_secret
        where webhook_id = %s and (ends_at is null or ends_at > now())
        order by ends_at desc nulls first, id desc
        """,
        (webhook_id,),
    ).fetchall()
