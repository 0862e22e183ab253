"""A transcription that is heard step by step, and those who read its events."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import httpx
from httpx_sse import EventSource, connect_sse

from resources.object_store.store import document_key
from resources.transcriptions.drafts import add_drafts
from tests.api.conftest import RUN_ID, World
from tests.support.transcripts import transcript_of
from ytcaption.domain.transcripts.transcript import Transcript

TEXTS = tuple(f"Sentence {number}, with “quotes” and\u2028a line separator." for number in range(8))


class Told(NamedTuple):
    """An event as it came."""

    name: str
    id: str
    data: dict[str, Any]


def _transcript(id: str, run_id: str) -> Transcript:
    found = transcript_of(id, TEXTS)
    return replace(found, provenance=replace(found.provenance, run_id=run_id))


class Hearing:
    """What a run does to a transcription, a step a call."""

    def __init__(self, world: World, id: str, run_id: str = RUN_ID) -> None:
        self.store, self.objects = world.request_store, world.object_store
        self.run_store = world.run_store
        self.id, self.run_id = id, run_id
        self.transcript = _transcript(id, run_id)

    def draft(self, first: int, last: int) -> None:
        """Segments `first` to `last - 1` are heard."""
        segments = self.transcript.segments[first:last]
        add_drafts(self.store.postgres, self.id, self.run_id, segments)

    def store_text(self) -> None:
        """The text is stored; the run goes on."""
        key = document_key(self.id)
        written = self.objects.write_bytes(key, self.transcript.to_json())
        self.run_store.transcript_stored(self.id, self.run_id, self.transcript, key, written.sha256)

    def complete(self) -> None:
        """The run ends well."""
        self.run_store.complete(self.id, self.run_id)


class Reader:
    """Reads a stream in a thread of its own until it ends."""

    def __init__(self, base_url: str, id: str, after: str | None = None) -> None:
        self.told: list[Told] = []
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
                    self.told.append(event)
                    if self._left:
                        return
        except Exception as error:
            self.error = error

    def until(self, holds: Callable[["Reader"], Any], timeout_s: float = 10) -> "Reader":
        """Itself, as soon as this holds."""
        deadline = time.monotonic() + timeout_s
        while not holds(self):
            assert time.monotonic() < deadline, self.told
            time.sleep(0.01)
        return self

    def to_the_end(self, timeout_s: float = 10) -> "Reader":
        """Itself, once the server has ended the stream."""
        self._thread.join(timeout_s)
        assert not self._thread.is_alive(), self.told
        return self

    @property
    def names(self) -> list[str]:
        """Of all events, one of several in a row."""
        names = [event.name for event in self.told]
        return [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]

    @property
    def indexes(self) -> list[int]:
        """Of the segments."""
        return [event.data["index"] for event in self.told if event.name == "segment"]


@contextmanager
def stream(url: str, headers: dict[str, str] | None = None) -> Iterator[EventSource]:
    """An open stream."""
    with (
        httpx.Client(timeout=30) as client,
        connect_sse(client, "GET", url, headers=headers or {}) as source,
    ):
        yield source


def events_of(source: EventSource) -> Iterator[Told]:
    """All that come; none of an answer that is no stream."""
    if source.response.status_code != 200:
        return
    for event in source.iter_sse():
        if event.data:
            yield Told(event.event, event.id, json.loads(event.data))
