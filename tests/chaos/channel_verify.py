"""What must hold of a channel once all is over; sentences of what is wrong, as in `verify`."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from resources.postgres.urls import database_urls
from tests.chaos.clips import Clip, said
from tests.chaos.verify import Facts
from ytcaption.domain.errors import ObjectCorrupt, ObjectNotFound
from ytcaption.domain.events import EventType
from ytcaption.settings import Settings

_WAITS = (EventType.QUEUED, EventType.RETRIED, EventType.GIVEN_BACK)
_TURN = (EventType.STARTED, EventType.RETRIED)
"""Its run has begun; or was lost before it could."""
_STATES = (*_WAITS, EventType.STARTED, EventType.TRANSCRIPTION_COMPLETED)
"""What says whether it waits, where nothing fails for good."""


def items_of(settings: Settings, channel_id: str) -> list[dict[str, Any]]:
    """Rows of the channel's items."""
    return _rows(settings, "select * from ytcaption.channel_item where channel_id = %s", channel_id)


def number_of_items(settings: Settings, channel_id: str) -> int:
    """How many have been asked for; 0 while Postgres is away."""
    try:
        return sum(item["transcription_id"] is not None for item in items_of(settings, channel_id))
    except psycopg.Error:
        return 0


def items_are_taken_once(
    facts: Facts, items: list[dict[str, Any]], wanted: Mapping[str, Clip]
) -> list[str]:
    """Each published URL is one item with a completed transcription of its own, asked for once.

    Args:
        wanted: what is heard in each published URL.
    """
    found = Counter(item["url"] for item in items)
    wrong = [f"{url} is lost" for url in wanted if not found[url]]
    wrong += [f"{url} is {number} items" for url, number in found.items() if number > 1]
    wrong += [f"{url} was never published" for url in found if url not in wanted]
    shared = Counter(item["transcription_id"] for item in items)
    wrong += [f"{number} items share {id}" for id, number in shared.items() if number > 1]
    for item in items:
        row = facts.rows.get(item["transcription_id"])
        if item["state"] != "queued" or row is None:
            wrong.append(f"{item['url']} is {item['state']}: {item['reason']}")
        elif row["status"] != "completed":
            wrong.append(f"{item['url']} is {row['status']}: {row['error_message']}")
    others = facts.rows.keys() - {item["transcription_id"] for item in items}
    if len(others) > 1:  # one person has asked for one
        wrong.append(f"{len(others)} transcriptions of no item")
    asked = Counter(
        row["transcription_id"]
        for row in _rows(facts.settings, "select transcription_id from ytcaption.request")
    )
    return wrong + [f"{id} was asked for {times} times" for id, times in asked.items() if times > 1]


def transcripts_are_undisturbed(
    facts: Facts, items: list[dict[str, Any]], wanted: Mapping[str, Clip]
) -> list[str]:
    """Each is what the engine hears in the recording when nobody disturbs it."""
    wrong = []
    for item in items:
        row = facts.rows.get(item["transcription_id"])
        if row is None or row["status"] != "completed" or item["url"] not in wanted:
            continue
        try:
            document = facts.document(row["id"])
        except (ObjectNotFound, ObjectCorrupt) as error:
            wrong.append(f"{row['id']}: {error.message}")
            continue
        clip = wanted[item["url"]]
        if said(document.to_dict()["segments"]) != clip.heard:
            wrong.append(f"{row['id']} is not what is heard in {clip.name}: {document.text!r}")
    return wrong


def channel_rests(settings: Settings, channel_id: str) -> list[str]:
    """Nobody holds it, its history is done, and it does not fail."""
    [row] = _rows(settings, "select * from ytcaption.channel where id = %s", channel_id)
    wrong = []
    if row["run_id"] is not None:
        wrong.append(f"run {row['run_id']} holds it")
    if row["history_next"] is not None or row["history_done_at"] is None:
        wrong.append(f"its history waits at {row['history_next']}")
    if row["failures"]:
        wrong.append(f"it fails: {row['error_code']}: {row['error_message']}")
    return wrong


@dataclass(frozen=True)
class Overtaken:
    """What a person's request met, by the events.

    Attributes:
        waited: bulk ones that were queued when it was made.
        began: those of them that began before its turn came, for the first time: any number that a
            kill has queued again, with their audio here, may have runs already.
        after_s: seconds until that.
    """

    waited: list[str]
    began: list[str]
    after_s: float


def overtaken_by(facts: Facts, id: str) -> Overtaken | None:
    """What the request for this transcription has overtaken; None where its turn never came."""
    own = facts.events[id]
    asked_at = own[0]["timestamp"]
    turn_at = next((each["timestamp"] for each in own if each["event_type"] in _TURN), None)
    if turn_at is None:
        return None
    waited, began = [], []
    for other, events in facts.events.items():
        earlier = [
            each["event_type"]
            for each in events
            if each["timestamp"] < asked_at and each["event_type"] in _STATES
        ]
        if other == id or not earlier or earlier[-1] not in _WAITS:
            continue
        waited.append(other)
        if earlier == [EventType.QUEUED] and any(
            each["event_type"] == EventType.STARTED and asked_at <= each["timestamp"] < turn_at
            for each in events
        ):
            began.append(other)
    return Overtaken(waited, began, (turn_at - asked_at).total_seconds())


def person_came_first(facts: Facts, id: str | None, places: int) -> list[str]:
    """A request in the middle of the backfill was completed, and of the bulk ones that waited no
    more began before it than may have had runs already.

    Args:
        places: so many runs that have not begun there may be.
    """
    if id is None:
        return ["nobody could ask in the middle"]
    row = facts.rows[id]
    wrong = []
    if row["status"] != "completed":
        wrong.append(f"{id} is {row['status']}: {row['error_message']}")
    found = overtaken_by(facts, id)
    if found is None:
        wrong.append(f"{id} never began")
    elif not found.waited:
        wrong.append(f"nothing waited when {id} was asked for")
    elif len(found.began) > places:
        wrong.append(f"{len(found.began)} bulk ones that waited began before {id}")
    return wrong


def _rows(settings: Settings, statement: Any, *values: object) -> list[dict[str, Any]]:
    with psycopg.connect(
        database_urls(settings).admin, row_factory=dict_row, connect_timeout=5
    ) as connection:
        return connection.execute(statement, values).fetchall()
