"""A small transcript, and a transcription brought to its end."""

from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.support.transcripts import transcript_of
from ytcaption.domain.media.media import Chapter, MediaInfo, MediaSource, StoredAudio
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import DroppedSegment, Transcript

INFO = MediaInfo(
    title="Über alles",
    channel="Kanal",
    upload_date="2026-11-24",
    duration_s=12.5,
    chapters=(Chapter(0.0, 6.0, "Eins"), Chapter(6.0, 12.5, "Zwei")),
)
AUDIO = StoredAudio(
    key="audio/a.webm",
    sha256="ab" * 32,
    size_bytes=5_000_000_000,
    duration_s=12.5,
    codec="opus",
    container="matroska,webm",
    sample_rate_hz=48_000,
    channels=2,
)


def make_transcript(
    id: str, texts: tuple[str, ...] = ("Ask not what", "your country")
) -> Transcript:
    """A segment a text, a word a word, and one that was dropped."""
    dropped = (DroppedSegment(11.0, 12.0, "Thanks for watching", "no_speech"),)
    return transcript_of(id, texts, duration_s=AUDIO.duration_s, dropped=dropped)


def completed(
    store: RequestStore,
    source: MediaSource,
    options: TranscriptionOptions,
    info: MediaInfo = INFO,
    run_id: str = "run-1",
) -> str:
    """Submit it and run it to its end; the id."""
    row = store.submit(source, options).transcription
    RunStore(postgres=store.postgres).claim(row.id, run_id, row.attempt)
    RunStore(postgres=store.postgres).audio_stored(row.id, run_id, info, AUDIO)
    transcript = make_transcript(row.id)
    RunStore(postgres=store.postgres).transcript_stored(
        row.id, run_id, transcript, f"transcripts/{row.id}.json", "ef" * 32
    )
    RunStore(postgres=store.postgres).complete(row.id, run_id)
    return row.id
