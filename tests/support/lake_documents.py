"""Transcripts for the lake's tests."""

from dataclasses import replace
from datetime import UTC, datetime

from tests.support.transcripts import make_segment, make_transcript
from ytcaption.domain.media.media import Chapter, MediaInfo, MediaSource
from ytcaption.domain.request import TranscriptionOptions, media_id, partition_key
from ytcaption.domain.transcripts.accuracy import CaptionAccuracy
from ytcaption.domain.transcripts.metrics import WordErrors
from ytcaption.domain.transcripts.transcript import Transcript, Word

WORDS_A_SEGMENT = 10
ACCURACY = CaptionAccuracy(
    "ef" * 32, "track", WordErrors(25, 3, 2, 1), datetime(2026, 11, 26, 12, 0, 1, 5, tzinfo=UTC)
)
"""Of 30 words, 25 are correct."""


def make_document(
    name: str = "first",
    *,
    model: str = "base",
    text: str = "hello",
    words: int = 30,
    title: str | None = None,
    channel: str = "A channel",
    language: str = "en",
    published: str = "2026-01-02",
    created_at: str = "2026-11-24T10:00:00+00:00",
) -> tuple[Transcript, MediaSource, MediaInfo]:
    """Return a transcript of `words` words, each `text` and its number, with its media."""
    media = media_id("youtube", name)
    spoken = [
        Word(index * 0.5, index * 0.5 + 0.4, f" {text}{index}", 0.9) for index in range(words)
    ]
    segments = (
        make_segment(spoken[start : start + WORDS_A_SEGMENT], start // WORDS_A_SEGMENT)
        for start in range(0, words, WORDS_A_SEGMENT)
    )
    transcript = make_transcript(
        *segments,
        id=partition_key(media, TranscriptionOptions(model)),
        model=model,
        language=language if words else None,
        duration_s=words * 0.5,
        speech_s=words * 0.4,
    )
    source = MediaSource(media, "site", f"https://www.youtube.com/watch?v={name}", "Youtube")
    info = MediaInfo(
        title=title or f"About {name}",
        channel=channel,
        upload_date=published,
        duration_s=words * 0.5,
        chapters=(Chapter(0.0, 1.0, f"Opening of {name}"),),
    )
    made = replace(transcript.provenance, created_at=created_at)
    return replace(transcript, provenance=made), source, info
