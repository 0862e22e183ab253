"""Transcripts made of words that a test gives."""

from collections.abc import Iterable
from typing import Any

from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import Provenance, Segment, Transcript, Word

SPOKEN = (
    "And so, my fellow Americans, ask not what your country can do for you,",
    "ask what you can do for your country.",
)
SEGMENT_S = 5.0


def make_segment(words: Iterable[Word], index: int = 0, text: str | None = None) -> Segment:
    """From its first word to its last, with their text unless another is given."""
    words = tuple(words)
    return Segment(
        index=index,
        start_s=words[0].start_s if words else 0.0,
        end_s=words[-1].end_s if words else 1.0,
        text="".join(word.text for word in words).strip() if text is None else text,
        words=words,
        avg_logprob=-0.2,
        no_speech_prob=0.01,
        compression_ratio=1.3,
        temperature=0.0,
    )


def spoken(
    text: str, *, start_s: float = 0.0, word_s: float = 0.3, pauses: dict[str, float] | None = None
) -> Segment:
    """A segment of words of equal length, with a pause of seconds after words named in `pauses`."""
    words: list[Word] = []
    for token in text.split():
        words.append(Word(start_s, start_s + word_s, f" {token}", 0.9))
        start_s += word_s + (pauses or {}).get(token, 0.0)
    return make_segment(words)


def spoken_tokens(
    *tokens: str,
    start_s: float = 0.0,
    word_s: float = 0.2,
    index: int = 0,
    text: str | None = None,
) -> Segment:
    """A segment of words given as the decoder writes them, with their spaces or without."""
    words = (
        Word(start_s + place * word_s, start_s + (place + 1) * word_s, token, 0.9)
        for place, token in enumerate(tokens)
    )
    return make_segment(words, index, text)


def make_transcript(
    *segments: Segment, id: str = f"upload-abc.{'a' * 26}", model: str = "base", **values: Any
) -> Transcript:
    """In English and as long as its segments, unless `values` say otherwise."""
    usual = {
        "task": "transcribe",
        "language": "en",
        "language_probability": 0.98,
        "duration_s": max((segment.end_s for segment in segments), default=0.0),
        "speech_s": 0.0,
        "dropped": (),
    }
    provenance = Provenance(
        source="asr",
        engine="faster-whisper",
        engine_version="1.2.1",
        model=model,
        model_revision="ab" * 32,
        device="cpu",
        compute_type="int8",
        options=TranscriptionOptions(model).to_dict(),
        audio_sha256="cd" * 32,
        run_id="run-1",
        created_at="2026-11-24T10:00:00+00:00",
    )
    return Transcript(
        id=id,
        media_id=id.rpartition(".")[0],
        segments=segments,
        provenance=provenance,
        **usual | values,
    )


def transcript_of(id: str, texts: Iterable[str] = SPOKEN, **values: Any) -> Transcript:
    """A segment a text, each of five seconds that its words share."""
    segments = []
    for index, text in enumerate(texts):
        tokens = [f" {word}" for word in text.split()]
        word_s = SEGMENT_S / len(tokens)
        segments.append(
            spoken_tokens(*tokens, start_s=index * SEGMENT_S, word_s=word_s, index=index, text=text)
        )
    return make_transcript(*segments, id=id, **{"duration_s": 11.0, "speech_s": 10.0} | values)
