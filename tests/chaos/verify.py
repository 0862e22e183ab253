"""What must hold once all is over: each check gives sentences of what is wrong, if anything is."""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from psycopg.rows import dict_row

from resources.lake.catalog import TranscriptCatalog
from resources.lake.documents import stored_document
from resources.object_store.store import ObjectStore
from resources.postgres.urls import database_urls
from resources.transcriptions.store import RequestStore
from tests.chaos.clips import said
from tests.chaos.source import COMPLETED, Asked
from tests.support.servers.webhook_receiver import Received
from ytcaption.domain.errors import ObjectCorrupt, ObjectNotFound
from ytcaption.domain.events import EventType
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption.settings import Settings
from ytcaption_assets.cli.up.dagster_home import dagster_instance

FINAL = {"completed", "failed", "canceled"}
_ENDINGS = (
    EventType.TRANSCRIPTION_COMPLETED,
    EventType.TRANSCRIPTION_FAILED,
    EventType.CANCELED,
)
_ASKED = (EventType.REQUESTED, EventType.REQUEST_WITHDRAWN)


@dataclass
class Facts:
    """Everything that is known of the installation, read once.

    Attributes:
        rows: of the table transcription, by id.
        events: of all transcriptions, by id, in their order.
    """

    settings: Settings
    rows: dict[str, dict[str, Any]]
    events: dict[str, list[dict[str, Any]]]
    deliveries: list[dict[str, Any]]
    segments: dict[str, list[dict[str, Any]]]
    audio_keys: set[str]
    downloading: int

    @classmethod
    def read(cls, settings: Settings) -> "Facts":
        """From Postgres, with all rights."""
        with psycopg.connect(database_urls(settings).admin, row_factory=dict_row) as connection:

            def all_of(table: str, order: str) -> list[dict[str, Any]]:
                return connection.execute(
                    f"select * from ytcaption.{table} order by {order}"  # pyright: ignore[reportArgumentType]
                ).fetchall()

            rows = all_of("transcription", "id")
            return cls(
                settings,
                {row["id"]: row for row in rows},
                _by_id(all_of("event", '"timestamp", event_id')),
                all_of("delivery", "id"),
                _by_id(all_of("segment", "transcription_id, index")),
                {row["audio_key"] for row in all_of("media", "id") if row["audio_key"]},
                sum(row["is_downloading"] for row in rows),
            )

    def document(self, id: str) -> Transcript:
        """The transcript as it is stored.

        Raises:
            ObjectNotFound, ObjectCorrupt: it is not what the row says.
        """
        row = self.rows[id]
        store = ObjectStore.from_settings(self.settings)
        return Transcript.from_json(store.read_bytes(row["document_key"], row["document_sha256"]))


def requests_ended_truly(facts: Facts, accepted: dict[int, str], asked: list[Asked]) -> list[str]:
    """Each accepted one is completed, or failed by what its site does, or by what was killed.

    A run that was killed costs an attempt: one that has lost them all in this way says so.
    """
    wrong = []
    for each in asked:
        id = accepted.get(each.number)
        if id is None:
            wrong.append(f"request {each.number} ({each.fate.name}) was never accepted")
            continue
        row = facts.rows.get(id)
        if row is None:
            wrong.append(f"{id} was accepted and is lost")
        elif row["status"] not in FINAL:
            wrong.append(f"{id} ({each.fate.name}) is still {row['status']}")
        elif _ending(row) != each.fate.ends_as and not _died_each_time(facts, row):
            wrong.append(
                f"{id} ({each.fate.name}) ended as {_ending(row) or 'completed'}: "
                f"{row['error_message']}"
            )
    if len(set(accepted.values())) != len(accepted):
        wrong.append("two requests share a transcription")
    if len(facts.rows) != len(accepted):
        wrong.append(f"{len(facts.rows)} transcriptions of {len(accepted)} requests")
    return wrong


def transcripts_are_undisturbed(
    facts: Facts, accepted: dict[int, str], asked: list[Asked]
) -> list[str]:
    """The same segments and words as the engine hears when nobody disturbs it."""
    wrong = []
    for each in asked:
        id = accepted.get(each.number)
        if each.clip is None or id is None or facts.rows[id]["status"] != "completed":
            continue
        try:
            document = facts.document(id)
        except (ObjectNotFound, ObjectCorrupt) as error:
            wrong.append(f"{id}: {error.message}")
            continue
        if said(document.to_dict()["segments"]) != each.clip.heard:
            wrong.append(f"{id} is not what is heard in {each.clip.name}: {document.text!r}")
    return wrong


def work_was_done_once(facts: Facts) -> list[str]:
    """One completion at most, one start an attempt, nothing after the end."""
    wrong = []
    for id, events in facts.events.items():
        names = Counter(event["event_type"] for event in events)
        attempts = [
            event["data"]["attempt"] for event in events if event["event_type"] == EventType.STARTED
        ]
        if (times := names[EventType.TRANSCRIPTION_COMPLETED]) > 1:
            wrong.append(f"{id} was completed {times} times")
        if len(set(attempts)) != len(attempts):
            wrong.append(f"{id} began an attempt twice: {attempts}")
        last = [event["event_type"] for event in events if event["event_type"] not in _ASKED][-1]
        if last not in _ENDINGS and facts.rows[id]["status"] in FINAL:
            wrong.append(f"{id} is {facts.rows[id]['status']} and went on after its end")
    return wrong


def lake_and_postgres_agree(facts: Facts) -> list[str]:
    """Row for row: lake, documents and the table segment say the same."""
    store = RequestStore.from_settings(facts.settings, "admin")
    completed = {id for id, row in facts.rows.items() if row["status"] == "completed"}

    objects = ObjectStore.from_settings(facts.settings)
    find = partial(stored_document, store.postgres, objects)
    report = TranscriptCatalog.from_settings(facts.settings).verify(lambda: completed, find)
    wrong = [f"the lake's file {path} is damaged" for path in report.damaged_files]
    wrong += [f"{id} is not in the lake as its document says" for id in report.different]
    wrong += [f"{id} is in the lake and has no document" for id in report.orphaned]
    wrong += [f"{id}: {why}" for id, why in report.unreadable.items()]
    for id in completed:
        stored = [(row["text"], row["start_s"], row["end_s"]) for row in facts.segments.get(id, [])]
        heard = [(each.text, each.start_s, each.end_s) for each in facts.document(id).segments]
        if stored != heard:
            wrong.append(f"{id}: the table segment is not what its document says")
    return wrong


def webhooks_arrived(facts: Facts, received: list[Received]) -> list[str]:
    """Each ending at least once, with a signature that holds, under the id of its event."""
    wrong = []
    bodies: dict[str, set[bytes]] = {}
    for each in received:
        bodies.setdefault(each.id, set()).add(each.body)
        if not each.verified_by:
            wrong.append(f"{each.id} came with a signature that does not hold")
    wrong += [
        f"{id} came with {len(found)} bodies" for id, found in bodies.items() if len(found) > 1
    ]
    for id, events in facts.events.items():
        ended = [str(event["event_id"]) for event in events if event["event_type"] in _ENDINGS]
        wrong += [f"nobody was told how {id} ended" for event in ended if event not in bodies]
    known = {str(event["event_id"]) for events in facts.events.values() for event in events}
    wrong += [f"{id} is no event" for id in bodies if id not in known]
    waiting = sum(row["status"] != "delivered" for row in facts.deliveries)
    if waiting:
        wrong.append(f"{waiting} deliveries are not delivered")
    return wrong


def nothing_is_held(settings: Settings) -> list[str]:
    """No slot of a pool, no run of Dagster's, no place at a site."""
    wrong = []
    with dagster_instance(settings) as instance:
        for pool in ("download", "transcription", "listing"):
            found = instance.event_log_storage.get_concurrency_info(pool)
            if found.claimed_slots:
                wrong.append(f"{len(found.claimed_slots)} slots of the pool {pool} are held")
            if found.pending_steps:
                wrong.append(f"{len(found.pending_steps)} steps wait for the pool {pool}")
        unfinished = [run for run in instance.get_runs() if not run.is_finished]
        wrong += [f"Dagster's run {run.run_id} is {run.status.value}" for run in unfinished]
    return wrong


def no_orphan_files(facts: Facts) -> list[str]:
    """Every stored object has its row, every row its object; nothing half-written lies about."""
    store = ObjectStore.from_settings(facts.settings)
    documents = {row["document_key"] for row in facts.rows.values() if row["document_key"]}
    wrong = []
    for folder, known in (("audio", facts.audio_keys), ("transcripts", documents)):
        stored = set(store.list(folder))
        wrong += [f"{key} has no row" for key in sorted(stored - known)]
        wrong += [f"{key} is not stored" for key in sorted(known - stored)]
    home = facts.settings.home
    for pattern in ("objects/**/.*", "uploads/*", "downloads/*/*", ".*.part"):
        wrong += [f"{path.relative_to(home)} was left" for path in home.glob(pattern)]
    if facts.downloading:
        wrong.append(f"{facts.downloading} transcriptions are said to download still")
    return wrong


def _by_id(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Without those of no transcription, such as a breaker's events."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["transcription_id"] is not None:
            found.setdefault(row["transcription_id"], []).append(row)
    return found


def _ending(row: dict[str, Any]) -> str:
    return COMPLETED if row["status"] == "completed" else row["error_code"] or row["status"]


def _died_each_time(facts: Facts, row: dict[str, Any]) -> bool:
    """Whether every attempt was lost to what was killed, and the row says so."""
    codes = [
        event["data"].get("code")
        for event in facts.events[row["id"]]
        if event["event_type"] in (EventType.RETRIED, EventType.TRANSCRIPTION_FAILED)
    ]
    ours = {"run_lost", "run_not_started", "disk_full", "database_unavailable"}
    return (
        len(codes) >= facts.settings.max_attempts
        and set(codes) <= ours
        and row["error_code"] in ours
    )
