"""A small transcript, and a transcription brought to its end."""

from resources.request_store import RequestStore
from ytcaption_assets.domain.media import Chapter, MediaInfo, MediaSource, StoredAudio
from ytcaption_assets.domain.request import TranscriptionOptions
from ytcaption_assets.domain.transcript import (
    DroppedSegment,
    Provenance,
    Segment,
    Transcript,
    Word,
)

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
    """A segment a text, a word a word."""
    segments = tuple(
        Segment(
            index=index,
            start_s=float(index),
            end_s=index + 0.5,
            text=text,
            words=tuple(
                Word(index + 0.1 * place, index + 0.1 * place + 0.1, f" {word}", 0.9)
                for place, word in enumerate(text.split())
            ),
            avg_logprob=-0.25,
            no_speech_prob=0.01,
            compression_ratio=1.5,
            temperature=0.0,
        )
        for index, text in enumerate(texts)
    )
    return Transcript(
        id=id,
        media_id=id.rpartition(".")[0],
        task="transcribe",
        language="en",
        language_probability=0.98,
        duration_s=12.5,
        speech_s=10.0,
        segments=segments,
        dropped=(DroppedSegment(11.0, 12.0, "Thanks for watching", "no_speech"),),
        provenance=Provenance(
            source="asr",
            engine="faster-whisper",
            engine_version="1.2.0",
            model="base",
            model_revision="cd" * 32,
            device="cpu",
            compute_type="int8",
            options={"model": "base"},
            audio_sha256=AUDIO.sha256,
            run_id="run-1",
            created_at="2026-11-24T12:00:00+00:00",
        ),
    )


def completed(
    store: RequestStore,
    source: MediaSource,
    options: TranscriptionOptions,
    info: MediaInfo = INFO,
    run_id: str = "run-1",
) -> str:
    """Submit it and run it to its end; the id."""
    row = store.submit(source, options).transcription
    store.claim(row.id, run_id, row.attempt)
    store.audio_stored(row.id, run_id, info, AUDIO)
    transcript = make_transcript(row.id)
    store.transcript_stored(row.id, run_id, transcript, f"transcripts/{row.id}.json", "ef" * 32)
    store.complete(row.id, run_id)
    return row.id
