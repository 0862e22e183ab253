"""Does what runs do to all that is queued, without audio or model."""

import threading
from typing import Self

from resources.object_store.store import document_key
from resources.transcriptions.reads import get_media
from resources.transcriptions.rows import TranscriptionRow
from tests.api.conftest import RUN_ID, World
from tests.support.transcripts import transcript_of
from ytcaption.domain.errors import ClaimLost


class Finisher:
    """A thread that completes each transcription in some steps; what is named `fail` fails."""

    def __init__(self, world: World, pause_s: float = 0.1) -> None:
        self._world, self._pause_s = world, pause_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="finisher")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _work(self) -> None:
        store, runs = self._world.request_store, self._world.run_store
        while not self._ended.wait(self._pause_s):
            for due in store.due(10):
                try:
                    self._finish(runs.claim(due.id, RUN_ID))
                except ClaimLost:
                    continue

    def _finish(self, row: TranscriptionRow) -> None:
        store, id = self._world.run_store, row.id
        if row.options.hotwords == "fail":
            store.fail(id, RUN_ID, "media_private", "The video is private.", False, 4)
            return
        title = get_media(store.postgres, row.media_id).title or "Ask not"
        self._world.describe(id, title=title)
        for done in (0.0, 5.0, 11.0):
            store.progress(id, RUN_ID, "transcription", done, 11.0)
            self._ended.wait(self._pause_s)
        transcript = transcript_of(id)
        written = self._world.object_store.write_bytes(document_key(id), transcript.to_json())
        store.transcript_stored(id, RUN_ID, transcript, document_key(id), written.sha256)
        store.complete(id, RUN_ID)
