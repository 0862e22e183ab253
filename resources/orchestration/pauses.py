"""Pauses set by an operator: one row in Postgres per paused part; Dagster's pools follow them.

- `intake`: new requests are refused.
- `download`, `transcription`: Dagster's pool of that name has no slots, so runs wait before that
  asset, and the sensor starts no new runs.

The rows decide: the API, `ytcaption up` and each tick of the sensor correct a pool that differs.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import dagster as dg

from resources.embeddings.embedder import has_embeddings
from resources.postgres.connection import Postgres
from resources.postgres.jsonb import clean
from resources.postgres.notify import WORK_CHANNEL, notify
from ytcaption.settings.settings import Settings

logger = logging.getLogger(__name__)

Part = Literal["intake", "download", "transcription"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Pause:
    """A paused part.

    Attributes:
        paused_by: `local`, `key:<id>` or `jwt:<issuer>:<subject>`.
    """

    part: Part
    reason: str
    paused_by: str
    paused_at: datetime


def pauses(postgres: Postgres) -> list[Pause]:
    """Return all pauses, the oldest first.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    with postgres.transaction() as connection:
        rows = connection.execute(
            "select part, reason, paused_by, paused_at from ytcaption.pause order by paused_at"
        ).fetchall()
    return [Pause(**row) for row in rows]


def paused_parts(postgres: Postgres) -> frozenset[str]:
    """Return the names of the paused parts.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    return frozenset(each.part for each in pauses(postgres))


def pause(postgres: Postgres, part: Part, reason: str, by: str) -> None:
    """Pause a part, or change the reason of its pause. Running work goes on.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    with postgres.transaction() as connection:
        connection.execute(
            """
            insert into ytcaption.pause (part, reason, paused_by) values (%s, %s, %s)
            on conflict (part) do update
            set reason = excluded.reason, paused_by = excluded.paused_by
            """,
            (part, clean(reason), by),
        )
    logger.info("%s paused by %s", part, by)


def resume(postgres: Postgres, part: Part, by: str) -> bool:
    """Resume a part. Return whether it was paused.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    with postgres.transaction() as connection:
        deleted = connection.execute("delete from ytcaption.pause where part = %s", (part,))
        notify(connection, WORK_CHANNEL, "")  # wakes the sensor: work may be due
    logger.info("%s resumed by %s", part, by)
    return deleted.rowcount > 0


def pool_slots(settings: Settings, paused: Collection[str]) -> dict[str, int]:
    """Return the number of slots of each of Dagster's pools."""
    slots = {
        "download": settings.runs.download_slots,
        "transcription": settings.transcriptions_at_once,
        "listing": settings.channels.listing_slots,
    }
    if has_embeddings(settings):
        slots["embedding"] = 1  # a worker embeds one at a time; without a worker each loads 600 MB
    return {pool: 0 if pool in paused else number for pool, number in slots.items()}


def follow_pauses(
    instance: dg.DagsterInstance, settings: Settings, paused: Collection[str]
) -> None:
    """Set the pools that are stopped and should not be, and those that should be and are not.

    Another number of slots set in Dagster's UI stays until the next `ytcaption up`.
    """
    storage = instance.event_log_storage
    limits = {each.name: each.limit for each in storage.get_pool_limits()}
    for pool, slots in pool_slots(settings, paused).items():
        if pool not in limits or (limits[pool] == 0) != (slots == 0):
            storage.set_concurrency_slots(pool, slots)
