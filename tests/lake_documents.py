"""Transcripts for the lake's tests."""

from resources.lake_verify import Document
from ytcaption_assets.domain.media import Chapter, MediaInfo, MediaSource
from ytcaption_assets.domain.request import TranscriptionOptions, media_id, partition_key
from ytcaption_assets.domain.transcript import Provenance, Segment, Transcript, Word

WORDS_A_SEGMENT = 10


def make_document(
    name: str = "first",
    *,
    model: str = "base",
    text: str = "hello",
    words: int = 30,
    title: str | None = None,
) -> Document:
    """A transcript of `words` words, each `text` and its number, with its media."""
    media = media_id("youtube", name)
    spoken = [
        Word(index * 0.5, index * 0.5 + 0.4, f" {text}{index}", 0.9) for index in range(words)
    ]
    segments = tuple(
        Segment(
            index=start // WORDS_A_SEGMENT,
            start_s=spoken[start].start_s,
            end_s=spoken[min(start + WORDS_A_SEGMENT, words) - 1].end_s,
            text="".join(word.text for word in spoken[start : start + WORDS_A_SEGMENT]).strip(),
            words=tuple(spoken[start : start + WORDS_A_SEGMENT]),
            avg_logprob=-0.25,
            no_speech_prob=0.01,
            compression_ratio=1.2,
            temperature=0.0,
        )
        for start in range(0, words, WORDS_A_SEGMENT)
    )
    options = TranscriptionOptions(model)
    transcript = Transcript(
        id=partition_key(media, options),
        media_id=media,
        task="transcribe",
        language="en" if words else None,
        language_probability=0.98,
        duration_s=words * 0.5,
        speech_s=words * 0.4,
        segments=segments,
        dropped=(),
        provenance=Provenance(
            source="asr",
            engine="faster-whisper",
            engine_version="1.2.1",
            model=model,
            model_revision="ab" * 32,
            device="cpu",
            compute_type="int8",
            options=options.to_dict(),
            audio_sha256="cd" * 32,
            run_id="5f0c",
            created_at="2026-11-24T10:00:00+00:00",
        ),
    )
    source = MediaSource(media, "site", f"https://www.youtube.com/watch?v={name}", "Youtube")
    info = MediaInfo(
        title=title or f"About {name}",
        channel="A channel",
        upload_date="2026-01-02",
        duration_s=words * 0.5,
        chapters=(Chapter(0.0, 1.0, f"Opening of {name}"),),
    )
    return transcript, source, info
