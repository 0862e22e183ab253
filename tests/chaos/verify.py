"""Checks after a storm; each returns sentences about what is wrong."""

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
from tests.chaos.clips import texts_and_times
from tests.chaos.source import COMPLETED, REFUSES, ChaosRequest, Fault
from tests.support.servers.webhook_receiver import Received
from ytcaption.domain.errors import ObjectCorrupt, ObjectNotFound
from ytcaption.domain.events import EventType
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import dagster_instance

FINAL = {"completed", "failed", "canceled"}
_FINAL_EVENTS = (
    EventType.TRANSCRIPTION_COMPLETED,
    EventType.TRANSCRIPTION_FAILED,
    EventType.CANCELED,
)
_REQUEST_EVENTS = (EventType.REQUESTED, EventType.REQUEST_WITHDRAWN)


@dataclass
class Facts:
    """The state of the installation, read once.

    Attributes:
        rows: rows of the table transcription, by id.
        events: events of each transcription in their order, by id.
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
        """Read the state from Postgres, with all rights."""
        with psycopg.connect(database_urls(settings).admin, row_factory=dict_row) as connection:

            def all_of(table: str, order: str) -> list[dict[str, Any]]:
                return connection.execute(
                    f"select * from ytcaption.{table} order by {order}"  # pyright: ignore[reportArgumentType]
                ).fetchall()

            rows = all_of("transcription", "id")
            return cls(
                settings,
                {row["id"]: row for row in rows},
                _by_id(all_of("event", "number")),
                all_of("delivery", "id"),
                _by_id(all_of("segment", "transcription_id, index")),
                {row["audio_key"] for row in all_of("media", "id") if row["audio_key"]},
                sum(row["is_downloading"] for row in rows),
            )

    def document(self, id: str) -> Transcript:
        """Return the stored transcript.

        Raises:
            ObjectNotFound, ObjectCorrupt: it is missing or differs from the row's checksum.
        """
        row = self.rows[id]
        store = ObjectStore.from_settings(self.settings)
        return Transcript.from_json(store.read_bytes(row["document_key"], row["document_sha256"]))


def requests_ended_truly(
    facts: Facts, accepted: dict[int, str], requests: list[ChaosRequest]
) -> list[str]:
    """Check that each request is completed, or failed because of its site's fault or of kills.

    A killed run costs an attempt; a request whose attempts were all killed may fail with that.
    """
    wrong = []
    for each in requests:
        id = accepted.get(each.number)
        if id is None:
            wrong.append(f"request {each.number} ({each.fault.name}) was never accepted")
            continue
        row = facts.rows.get(id)
        if row is None:
            wrong.append(f"{id} was accepted and is lost")
        elif row["status"] not in FINAL:
            wrong.append(f"{id} ({each.fault.name}) is still {row['status']}")
        elif row["status"] == "canceled" and _was_refused(facts, id, each.fault):
            continue  # by the storm
        elif _ending(row) != each.fault.ends_as and not _died_each_time(facts, row):
            wrong.append(
                f"{id} ({each.fault.name}) ended as {_ending(row) or 'completed'}: "
                f"{row['error_message']}"
            )
    if len(set(accepted.values())) != len(accepted):
        wrong.append("two requests share a transcription")
    if len(facts.rows) != len(accepted):
        wrong.append(f"{len(facts.rows)} transcriptions of {len(accepted)} requests")
    return wrong


def transcripts_are_undisturbed(
    facts: Facts, accepted: dict[int, str], requests: list[ChaosRequest]
) -> list[str]:
    """Check that segments and words are those of an undisturbed engine."""
    wrong = []
    for each in requests:
        id = accepted.get(each.number)
        if each.clip is None or id is None or facts.rows[id]["status"] != "completed":
            continue
        try:
            document = facts.document(id)
        except (ObjectNotFound, ObjectCorrupt) as error:
            wrong.append(f"{id}: {error.message}")
            continue
        if texts_and_times(document.to_dict()["segments"]) != each.clip.segments:
            wrong.append(f"{id} is not the transcript of {each.clip.name}: {document.text!r}")
    return wrong


def work_was_done_once(facts: Facts) -> list[str]:
    """Check for at most one completion, one start per attempt, and nothing after the end."""
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
        last = [
            event["event_type"] for event in events if event["event_type"] not in _REQUEST_EVENTS
        ][-1]
        status = facts.rows.get(id, {}).get("status")  # none: it was erased
        if last not in _FINAL_EVENTS and status in FINAL:
            wrong.append(f"{id} is {status} and continued after its end")
    return wrong


def lake_and_postgres_agree(facts: Facts) -> list[str]:
    """Check that lake, documents and the table segment agree row by row."""
    store = RequestStore.from_settings(facts.settings, "admin")
    completed = {id for id, row in facts.rows.items() if row["status"] == "completed"}

    objects = ObjectStore.from_settings(facts.settings)
    find = partial(stored_document, store.postgres, objects)
    report = TranscriptCatalog.from_settings(facts.settings).verify(lambda: completed, find)
    wrong = [f"the lake's file {path} is damaged" for path in report.damaged_files]
    wrong += [f"{id} differs between the lake and its document" for id in report.different]
    wrong += [f"{id} is in the lake and has no document" for id in report.orphaned]
    wrong += [f"{id}: {reason}" for id, reason in report.unreadable.items()]
    for id in completed:
        stored = [(row["text"], row["start_s"], row["end_s"]) for row in facts.segments.get(id, [])]
        expected = [(each.text, each.start_s, each.end_s) for each in facts.document(id).segments]
        if stored != expected:
            wrong.append(f"{id}: the table segment differs from its document")
    return wrong


def webhooks_arrived(facts: Facts, received: list[Received]) -> list[str]:
    """Check that each final event arrived with a valid signature under the event's id."""
    wrong = []
    bodies: dict[str, set[bytes]] = {}
    for each in received:
        bodies.setdefault(each.id, set()).add(each.body)
        if not each.verified_by:
            wrong.append(f"{each.id} came with an invalid signature")
    wrong += [
        f"{id} came with {len(variants)} bodies"
        for id, variants in bodies.items()
        if len(variants) > 1
    ]
    for id, events in facts.events.items():
        final = [str(event["event_id"]) for event in events if event["event_type"] in _FINAL_EVENTS]
        wrong += [f"no webhook about the end of {id}" for event in final if event not in bodies]
    known = {str(event["event_id"]) for events in facts.events.values() for event in events}
    wrong += [f"{id} is not an event" for id in bodies if id not in known]
    waiting = sum(row["status"] != "delivered" for row in facts.deliveries)
    if waiting:
        wrong.append(f"{waiting} deliveries are not delivered")
    return wrong


def nothing_is_held(settings: Settings) -> list[str]:
    """Check that no pool slot is occupied and that Dagster has no unfinished run."""
    wrong = []
    with dagster_instance(settings) as instance:
        for pool in ("download", "transcription", "listing"):
            info = instance.event_log_storage.get_concurrency_info(pool)
            if info.claimed_slots:
                wrong.append(f"{len(info.claimed_slots)} slots of the pool {pool} are occupied")
            if info.pending_steps:
                wrong.append(f"{len(info.pending_steps)} steps wait for the pool {pool}")
        unfinished = [run for run in instance.get_runs() if not run.is_finished]
        wrong += [f"Dagster's run {run.run_id} is {run.status.value}" for run in unfinished]
    return wrong


def no_orphan_files(facts: Facts) -> list[str]:
    """Check that stored objects and rows match, and that no temporary file is left."""
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
        wrong.append(f"{facts.downloading} transcriptions are still marked as downloading")
    return wrong


def _by_id(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Group rows by transcription; skip those of none, such as a circuit breaker's events."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["transcription_id"] is not None:
            groups.setdefault(row["transcription_id"], []).append(row)
    return groups


def _ending(row: dict[str, Any]) -> str:
    return COMPLETED if row["status"] == "completed" else row["error_code"] or row["status"]


def _was_refused(facts: Facts, id: str, fault: Fault) -> bool:
    """Return whether it was tried again because of a fault that never passes."""
    return fault is REFUSES and any(
        event["event_type"] == EventType.RETRIED and event["data"].get("code") == fault.ends_as
        for event in facts.events[id]
    )


def unfinished(settings: Settings) -> dict[str, str | None]:
    """Return the error codes of unfinished transcriptions, by id; a running one has none."""
    with psycopg.connect(database_urls(settings).admin, connect_timeout=5) as connection:
        rows = connection.execute(
            "select id, case when status = 'queued' then error_code end "
            "from ytcaption.transcription where status <> all(%s)",
            (list(FINAL),),
        ).fetchall()
    return dict(rows)


def _died_each_time(facts: Facts, row: dict[str, Any]) -> bool:
    """Return whether every attempt failed because of kills, and the row has such a code."""
    codes = [
        event["data"].get("code")
        for event in facts.events[row["id"]]
        if event["event_type"] in (EventType.RETRIED, EventType.TRANSCRIPTION_FAILED)
    ]
    expected = {"run_lost", "run_not_started", "disk_full", "database_unavailable"}
    return (
        len(codes) >= facts.settings.runs.max_attempts
        and set(codes) <= expected
        and row["error_code"] in expected
    )
