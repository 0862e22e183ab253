"""What an operator has stopped: a row a part in Postgres, which Dagster's pools are made to follow.

`intake`: nobody may ask. `download`, `transcription`: Dagster's pool of that name has no slots, so
runs wait before that asset, and the sensor starts no new ones. The row decides: whoever finds a
pool otherwise (the API, `ytcaption up`, each tick of the sensor) sets it right.
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
from ytcaption.settings import Settings

logger = logging.getLogger(__name__)

Part = Literal["intake", "download", "transcription"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Pause:
    """One part that is stopped.

    Attributes:
        paused_by: who did it: `local`, `key:<id>` or `jwt:<issuer>:<subject>`.
    """

    part: Part
    reason: str
    paused_by: str
    paused_at: datetime


def pauses(postgres: Postgres) -> list[Pause]:
    """All that is stopped, in the order in which it was.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    with postgres.transaction() as connection:
        rows = connection.execute("select * from ytcaption.pause order by paused_at").fetchall()
    return [Pause(**row) for row in rows]


def paused_parts(postgres: Postgres) -> frozenset[str]:
    """The names of what is stopped.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    return frozenset(each.part for each in pauses(postgres))


def pause(postgres: Postgres, part: Part, reason: str, by: str) -> None:
    """Stop a part; again, with another reason. What runs is not disturbed.

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
    """Let it go on; whether it was stopped.

    Raises:
        DatabaseUnavailable, SetupError: as `Postgres.transaction`.
    """
    with postgres.transaction() as connection:
        deleted = connection.execute("delete from ytcaption.pause where part = %s", (part,))
        notify(connection, WORK_CHANNEL, "")  # what has waited is due: the sensor wakes up
    logger.info("%s resumed by %s", part, by)
    return deleted.rowcount > 0


def pool_slots(settings: Settings, paused: Collection[str]) -> dict[str, int]:
    """How many slots each of Dagster's pools has."""
    slots = {
        "download": settings.download_slots,
        "transcription": settings.transcriptions_at_once,
        "listing": settings.listing_slots,
    }
    if has_embeddings(settings):
        slots["embedding"] = 1  # a worker embeds one at a time; without one each loads 600 MB
    return {pool: 0 if pool in paused else number for pool, number in slots.items()}


def follow_pauses(
    instance: dg.DagsterInstance, settings: Settings, paused: Collection[str]
) -> None:
    """Sets the pools that are stopped and should not be, or the other way round.

    A number other than 0 that somebody chose in Dagster's UI stays until the next `ytcaption up`.
    """
    storage = instance.event_log_storage
    limits = {each.name: each.limit for each in storage.get_pool_limits()}
    for pool, slots in pool_slots(settings, paused).items():
        if pool not in limits or (limits[pool] == 0) != (slots == 0):
            storage.set_concurrency_slots(pool, slots)
