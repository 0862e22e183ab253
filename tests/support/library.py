"""Completed transcriptions of words that a test gives, for those who look for them."""

from dataclasses import replace
from typing import Any, Literal

from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.resources.transcripts import AUDIO
from tests.support.transcripts import transcript_of
from ytcaption.domain.caller import LOCAL_OWNER
from ytcaption.domain.media.media import MediaInfo, MediaSource
from ytcaption.domain.request import TranscriptionOptions


def add_said(
    store: RequestStore,
    name: str,
    *texts: str,
    language: str | None = "en",
    owner: str = LOCAL_OWNER,
    model: str = "base",
    task: Literal["transcribe", "translate"] = "transcribe",
    source: Literal["asr", "manual_captions", "automatic_captions"] = "asr",
    channel: str | None = "JFK Library",
    channel_id: str | None = None,
    published: str = "2026-11-24",
    title: str | None = None,
    **more: Any,
) -> str:
    """Return the id of a new completed transcription of the media `url-<name>`.

    Args:
        texts: of its segments, each of five seconds.
    """
    media = MediaSource(f"url-{name}", "direct", f"https://example.org/{name}.mp3")
    options = TranscriptionOptions(model, language, task)
    row = store.submit(media, options, owner=owner).transcription
    RunStore(postgres=store.postgres).claim(row.id, "run-1", row.attempt)
    info = MediaInfo(
        title=title or name, channel=channel, channel_id=channel_id, upload_date=published
    )
    RunStore(postgres=store.postgres).audio_stored(row.id, "run-1", info, AUDIO)
    transcript = transcript_of(row.id, texts, language=language, task=task, **more)
    transcript = replace(transcript, provenance=replace(transcript.provenance, source=source))
    RunStore(postgres=store.postgres).transcript_stored(
        row.id, "run-1", transcript, f"transcripts/{row.id}.json", "ef" * 32
    )
    RunStore(postgres=store.postgres).complete(row.id, "run-1")
    return row.id
