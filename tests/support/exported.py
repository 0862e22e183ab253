"""A library to export: real speech, stored as runs store it."""

import hashlib
import json
from dataclasses import dataclass, replace

from resources.lake.catalog import TranscriptCatalog
from resources.object_store.store import ObjectStore, audio_key, document_key
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.support.paths import DATA
from ytcaption.domain.media.media import MediaInfo, MediaSource, StoredAudio
from ytcaption.domain.request import TranscriptionOptions, partition_key
from ytcaption.domain.transcripts.transcript import Transcript
from ytcaption.settings.settings import Settings

RUN_ID = "run-1"


@dataclass
class Library:
    """Puts transcriptions into all places where runs put them."""

    settings: Settings
    store: RequestStore
    objects: ObjectStore

    @property
    def run_store(self) -> RunStore:
        """The store that runs use."""
        return RunStore(postgres=self.store.postgres)

    def add(
        self,
        name: str = "jfk",
        *,
        media: str = "jfk",
        title: str | None = "Ask not",
        channel: str | None = "JFK Library",
        published: str | None = "2026-01-02",
        model: str = "base",
        text: str | None = None,
    ) -> str:
        """A completed transcription of `tests/data/<name>.flac`; its id.

        Args:
            text: in place of the first segment's.
        """
        source = MediaSource(f"youtube-{media}", "site", "https://www.youtube.com/", "Youtube")
        options = TranscriptionOptions(model)
        id = partition_key(source.media_id, options)
        transcript = self._transcript(name, id, source.media_id, text)
        submitted = self.store.submit(source, options).transcription
        self.run_store.claim(id, RUN_ID, submitted.attempt)
        info = MediaInfo(title=title, channel=channel, upload_date=published, duration_s=11.0)
        audio = DATA / f"{name}.flac"
        key = audio_key(source.media_id, "flac")
        written = self.objects.write_file(key, audio)
        stored = StoredAudio(
            key, written.sha256, written.size_bytes, 11.0, "flac", "flac", 44_100, 1
        )
        self.run_store.audio_stored(id, RUN_ID, info, stored)
        self.rewrite(transcript)
        self.run_store.complete(id, RUN_ID)
        TranscriptCatalog.from_settings(self.settings).append(transcript, source, info)
        return id

    def rewrite(self, transcript: Transcript) -> None:
        """Store this transcript as the document of its transcription."""
        key = document_key(transcript.id)
        written = self.objects.write_bytes(key, transcript.to_json())
        self.run_store.transcript_stored(transcript.id, RUN_ID, transcript, key, written.sha256)

    def change(self, id: str, text: str) -> None:
        """Change the first segment of a document, as a new transcription would."""
        transcript = Transcript.from_json(self.objects.read_bytes(document_key(id)))
        first, *others = transcript.segments
        changed = replace(transcript, segments=(replace(first, text=text), *others))
        data = changed.to_json()
        self.objects.write_bytes(document_key(id), data)
        with self.store.postgres.transaction() as connection:
            connection.execute(
                "update ytcaption.transcription set document_sha256 = %s where id = %s",
                (hashlib.sha256(data).hexdigest(), id),
            )

    def retire_audio(self, id: str) -> None:
        """Remove a media item's audio, as retention does."""
        with self.store.postgres.transaction() as connection:
            connection.execute(
                "update ytcaption.media set audio_key = null, audio_sha256 = null where id = %s",
                (id.partition(".")[0],),
            )

    def _transcript(self, name: str, id: str, media_id: str, text: str | None) -> Transcript:
        known = json.loads((DATA / "transcripts" / f"{name}.json").read_text(encoding="utf-8"))
        found = Transcript.from_json(json.dumps(known | {"id": id, "media_id": media_id}).encode())
        if text is not None:
            first, *others = found.segments
            found = replace(found, segments=(replace(first, text=text), *others))
        return found
