"""Checks of a channel after a storm; each returns sentences about what is wrong."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from resources.postgres.urls import database_urls
from tests.chaos.clips import Clip, texts_and_times
from tests.chaos.verify import Facts
from ytcaption.domain.errors import ObjectCorrupt, ObjectNotFound
from ytcaption.domain.events import EventType
from ytcaption.settings.settings import Settings

_WAITING = (EventType.QUEUED, EventType.RETRIED, EventType.GIVEN_BACK)
_HAD_A_RUN = (EventType.STARTED, EventType.RETRIED)
"""Its run has begun, or was lost before it could begin."""
_STATES = (*_WAITING, EventType.STARTED, EventType.TRANSCRIPTION_COMPLETED)
"""Events that show whether a transcription waits, if none fails for good."""


def items_of(settings: Settings, channel_id: str) -> list[dict[str, Any]]:
    """Return the rows of the channel's items."""
    return _rows(settings, "select * from ytcaption.channel_item where channel_id = %s", channel_id)


def number_of_items(settings: Settings, channel_id: str) -> int:
    """Return the number of items with a transcription; 0 while Postgres is not available."""
    try:
        return sum(item["transcription_id"] is not None for item in items_of(settings, channel_id))
    except psycopg.Error:
        return 0


def items_are_queued_once(
    facts: Facts, items: list[dict[str, Any]], published: Mapping[str, Clip]
) -> list[str]:
    """Check that each published URL is one item with its own completed transcription.

    Args:
        published: recordings by published URL.
    """
    counts = Counter(item["url"] for item in items)
    wrong = [f"{url} is lost" for url in published if not counts[url]]
    wrong += [f"{url} is {count} items" for url, count in counts.items() if count > 1]
    wrong += [f"{url} was never published" for url in counts if url not in published]
    shared = Counter(item["transcription_id"] for item in items)
    wrong += [f"{count} items share {id}" for id, count in shared.items() if count > 1]
    for item in items:
        row = facts.rows.get(item["transcription_id"])
        if item["state"] != "queued" or row is None:
            wrong.append(f"{item['url']} is {item['state']}: {item['reason']}")
        elif row["status"] != "completed":
            wrong.append(f"{item['url']} is {row['status']}: {row['error_message']}")
    others = facts.rows.keys() - {item["transcription_id"] for item in items}
    if len(others) > 1:  # one is of the interactive request
        wrong.append(f"{len(others)} transcriptions of no item")
    requests = Counter(
        row["transcription_id"]
        for row in _rows(facts.settings, "select transcription_id from ytcaption.request")
    )
    return wrong + [f"{id} has {count} requests" for id, count in requests.items() if count > 1]


def transcripts_are_undisturbed(
    facts: Facts, items: list[dict[str, Any]], published: Mapping[str, Clip]
) -> list[str]:
    """Check that each transcript is the one that an undisturbed engine makes of the recording."""
    wrong = []
    for item in items:
        row = facts.rows.get(item["transcription_id"])
        if row is None or row["status"] != "completed" or item["url"] not in published:
            continue
        try:
            document = facts.document(row["id"])
        except (ObjectNotFound, ObjectCorrupt) as error:
            wrong.append(f"{row['id']}: {error.message}")
            continue
        clip = published[item["url"]]
        if texts_and_times(document.to_dict()["segments"]) != clip.segments:
            wrong.append(f"{row['id']} is not the transcript of {clip.name}: {document.text!r}")
    return wrong


def channel_is_idle(settings: Settings, channel_id: str) -> list[str]:
    """Check that no run holds the channel, its history is complete, and it does not fail."""
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
    """Bulk transcriptions that an interactive request met, by their events.

    Attributes:
        waited: ids of those that were queued when it was made.
        began: ids of those that then began before it, for the first time. Those that a kill has
            queued again do not count: their audio is stored, and they may already have runs.
        after_s: seconds until it began.
    """

    waited: list[str]
    began: list[str]
    after_s: float


def overtaken_by(facts: Facts, id: str) -> Overtaken | None:
    """Return what the request for this transcription has overtaken; None if it never had a run."""
    own = facts.events[id]
    requested_at = own[0]["timestamp"]
    run_at = next((each["timestamp"] for each in own if each["event_type"] in _HAD_A_RUN), None)
    if run_at is None:
        return None
    waited, began = [], []
    for other, events in facts.events.items():
        earlier = [
            each["event_type"]
            for each in events
            if each["timestamp"] < requested_at and each["event_type"] in _STATES
        ]
        if other == id or not earlier or earlier[-1] not in _WAITING:
            continue
        waited.append(other)
        if earlier == [EventType.QUEUED] and any(
            each["event_type"] == EventType.STARTED and requested_at <= each["timestamp"] < run_at
            for each in events
        ):
            began.append(other)
    return Overtaken(waited, began, (run_at - requested_at).total_seconds())


def interactive_came_first(facts: Facts, id: str | None, slots: int) -> list[str]:
    """Check that an interactive request was completed before waiting bulk items.

    Args:
        slots: this many bulk items may go first, because they may already have runs.
    """
    if id is None:
        return ["no interactive request was accepted"]
    row = facts.rows[id]
    wrong = []
    if row["status"] != "completed":
        wrong.append(f"{id} is {row['status']}: {row['error_message']}")
    overtaken = overtaken_by(facts, id)
    if overtaken is None:
        wrong.append(f"{id} never began")
    elif not overtaken.waited:
        wrong.append(f"nothing waited when {id} was requested")
    elif len(overtaken.began) > slots:
        wrong.append(f"{len(overtaken.began)} waiting bulk items began before {id}")
    return wrong


def _rows(settings: Settings, statement: Any, *values: object) -> list[dict[str, Any]]:
    with psycopg.connect(
        database_urls(settings).admin, row_factory=dict_row, connect_timeout=5
    ) as connection:
        return connection.execute(statement, values).fetchall()
