"""A run that a test drives step by step, and readers of its events."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import httpx
from httpx_sse import EventSource, connect_sse

from resources.object_store.store import document_key
from resources.transcriptions.drafts import add_drafts
from tests.api.conftest import RUN_ID, World
from tests.support.patience import patience, wait_for
from tests.support.transcripts import transcript_of
from ytcaption.domain.transcripts.transcript import Transcript

TEXTS = tuple(f"Sentence {number}, with “quotes” and\u2028a line separator." for number in range(8))


class ReceivedEvent(NamedTuple):
    """An event as it was received."""

    name: str
    id: str
    data: dict[str, Any]


def _transcript(id: str, run_id: str) -> Transcript:
    transcript = transcript_of(id, TEXTS)
    return replace(transcript, provenance=replace(transcript.provenance, run_id=run_id))


class FakeRun:
    """What a run does to a transcription; each method is one step."""

    def __init__(self, world: World, id: str, run_id: str = RUN_ID) -> None:
        self.store, self.objects = world.request_store, world.object_store
        self.run_store = world.run_store
        self.id, self.run_id = id, run_id
        self.transcript = _transcript(id, run_id)

    def draft(self, first: int, last: int) -> None:
        """Store segments `first` to `last - 1` as drafts."""
        segments = self.transcript.segments[first:last]
        add_drafts(self.store.postgres, self.id, self.run_id, segments)

    def store_text(self) -> None:
        """Store the transcript; the run continues."""
        key = document_key(self.id)
        written = self.objects.write_bytes(key, self.transcript.to_json())
        self.run_store.transcript_stored(self.id, self.run_id, self.transcript, key, written.sha256)

    def complete(self) -> None:
        """Complete the transcription."""
        self.run_store.complete(self.id, self.run_id)


def answers(url: str) -> bool:
    """Return whether a server of the API answers at this address."""
    try:
        return httpx.get(f"{url}/healthz", timeout=2).is_success
    except httpx.TransportError:
        return False


class Reader:
    """Reads a stream in a thread of its own until it ends."""

    def __init__(self, base_url: str, id: str, after: str | None = None) -> None:
        self.events: list[ReceivedEvent] = []
        self.status = 0
        self.error: Exception | None = None
        self._url = f"{base_url}/api/v1/transcriptions/{id}/events"
        self._headers = {"Last-Event-ID": after} if after else {}
        self._left = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            with stream(self._url, self._headers) as source:
                self.status = source.response.status_code
                for event in events_of(source):
                    self.events.append(event)
                    if self._left:
                        return
        except Exception as error:
            self.error = error

    def until(self, holds: Callable[["Reader"], Any], timeout_s: float = 10) -> "Reader":
        """Wait until the condition holds; return the reader."""
        wait_for(lambda: holds(self), timeout_s, lambda: self.events)
        return self

    def to_the_end(self, timeout_s: float = 10) -> "Reader":
        """Wait until the server ends the stream; return the reader."""
        self._thread.join(timeout_s * patience())
        assert not self._thread.is_alive(), self.events
        return self

    @property
    def names(self) -> list[str]:
        """The names of all events, each once of several in a row."""
        names = [event.name for event in self.events]
        return [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]

    @property
    def indexes(self) -> list[int]:
        """The indexes of the segments."""
        return [event.data["index"] for event in self.events if event.name == "segment"]


@contextmanager
def stream(url: str, headers: dict[str, str] | None = None) -> Iterator[EventSource]:
    """Yield an open stream."""
    with (
        httpx.Client(timeout=30) as client,
        connect_sse(client, "GET", url, headers=headers or {}) as source,
    ):
        yield source


def events_of(source: EventSource) -> Iterator[ReceivedEvent]:
    """Yield all events; none if the response is not a stream."""
    if source.response.status_code != 200:
        return
    for event in source.iter_sse():
        if event.data:
            yield ReceivedEvent(event.event, event.id, json.loads(event.data))
