"""Convert one transcript to rows of the lake's tables."""

import json
import unicodedata
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from ytcaption.domain.media.media import MediaInfo, MediaSource
from ytcaption.domain.transcripts.accuracy import CaptionAccuracy
from ytcaption.domain.transcripts.lake_schema import TABLES, arrow_schema
from ytcaption.domain.transcripts.timings import UNKNOWN, Timings
from ytcaption.domain.transcripts.transcript import Transcript

if TYPE_CHECKING:
    import pyarrow as pa


def lake_rows(
    transcript: Transcript,
    source: MediaSource,
    info: MediaInfo,
    timings: Timings = UNKNOWN,
    accuracy: CaptionAccuracy | None = None,
) -> "dict[str, pa.Table]":
    """Return the transcript's rows in each table; exactly one in `media`.

    Args:
        accuracy: None: there are no captions to compare with.

    Raises:
        ValueError: the transcript is of another media item.
    """
    import pyarrow as pa

    if transcript.media_id != source.media_id:
        raise ValueError(f"{transcript.id} was not made from {source.media_id}")
    rows = {
        "transcripts": [_transcript_row(transcript, timings)],
        "segments": _segment_rows(transcript),
        "words": _word_rows(transcript),
        "caption_accuracy": [_accuracy_row(transcript, accuracy)] if accuracy else [],
        "media": [_media_row(source, info)],
    }
    return {
        name: pa.Table.from_pylist([_clean(row) for row in rows[name]], arrow_schema(name))
        for name in TABLES
    }


def accuracy_rows(transcript: Transcript, accuracy: CaptionAccuracy) -> "pa.Table":
    """Return the one row of `caption_accuracy`."""
    import pyarrow as pa

    row = _accuracy_row(transcript, accuracy)
    return pa.Table.from_pylist([row], arrow_schema("caption_accuracy"))


def counted_word(text: str) -> str | None:
    """Return the word to count by: `" Don’t,"` is `don’t`; None for punctuation alone."""
    word = text.strip()
    while word and _is_punctuation(word[0]):
        word = word[1:]
    while word and _is_punctuation(word[-1]):
        word = word[:-1]
    return word.casefold() or None


def _is_punctuation(character: str) -> bool:
    # Symbols stay: `$`, `°` and `+` carry the meaning of `$5`, `20°` and `c++`.
    return character.isspace() or unicodedata.category(character).startswith("P")


def _clean(value: Any) -> Any:
    """Remove NUL, which Postgres refuses: DuckLake keeps the smallest and largest text of
    columns there."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, dict):
        return {name: _clean(item) for name, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value


def _transcript_row(transcript: Transcript, timings: Timings) -> dict[str, Any]:
    made = transcript.provenance
    return {
        "transcription_id": transcript.id,
        "media_id": transcript.media_id,
        "task": transcript.task,
        "language": transcript.language,
        "language_probability": transcript.language_probability,
        "text_language": transcript.text_language,
        "duration_s": transcript.duration_s,
        "speech_s": transcript.speech_s,
        "segment_count": len(transcript.segments),
        "word_count": len(transcript.words),
        "dropped_count": len(transcript.dropped),
        "text": transcript.text,
        "source": made.source,
        "engine": made.engine,
        "engine_version": made.engine_version,
        "model": made.model,
        "model_revision": made.model_revision,
        "device": made.device,
        "compute_type": made.compute_type,
        "options": json.dumps(made.options, ensure_ascii=False, sort_keys=True),
        "audio_sha256": made.audio_sha256,
        "run_id": made.run_id,
        "created_at": _moment(made.created_at),
        "queued_at": timings.queued_at,
        "started_at": timings.started_at,
        "processing_s": timings.processing_s,
    }


def _segment_rows(transcript: Transcript) -> list[dict[str, Any]]:
    made_at = _moment(transcript.provenance.created_at)
    return [
        {
            "transcription_id": transcript.id,
            "media_id": transcript.media_id,
            "segment_index": segment.index,
            "start_s": segment.start_s,
            "end_s": segment.end_s,
            "text": segment.text,
            "language": transcript.text_language,
            "word_count": len(segment.words),
            "avg_logprob": segment.avg_logprob,
            "no_speech_prob": segment.no_speech_prob,
            "compression_ratio": segment.compression_ratio,
            "temperature": segment.temperature,
            "made_at": made_at,
        }
        for segment in transcript.segments
    ]


def _word_rows(transcript: Transcript) -> list[dict[str, Any]]:
    made_at = _moment(transcript.provenance.created_at)
    spoken = [(segment.index, word) for segment in transcript.segments for word in segment.words]
    return [
        {
            "transcription_id": transcript.id,
            "media_id": transcript.media_id,
            "segment_index": segment_index,
            "word_index": word_index,
            "start_s": word.start_s,
            "end_s": word.end_s,
            "text": word.text,
            "word": counted_word(word.text),
            "language": transcript.text_language,
            "probability": word.probability,
            "made_at": made_at,
        }
        for word_index, (segment_index, word) in enumerate(spoken)
    ]


def _accuracy_row(transcript: Transcript, accuracy: CaptionAccuracy) -> dict[str, Any]:
    errors = accuracy.errors
    return {
        "transcription_id": transcript.id,
        "media_id": transcript.media_id,
        "model": transcript.provenance.model,
        "language": transcript.language,
        "reference_kind": accuracy.reference_kind,
        "words": errors.reference_words,
        "wer": errors.rate,
        "substitutions": errors.substitutions,
        "deletions": errors.deletions,
        "insertions": errors.insertions,
        "measured_at": accuracy.measured_at,
    }


def _media_row(source: MediaSource, info: MediaInfo) -> dict[str, Any]:
    shown = _without_query if source.kind == "direct" else _unchanged
    return {
        "media_id": source.media_id,
        "kind": source.kind,
        "url": shown(source.url),
        "extractor": source.extractor,
        "title": info.title,
        "channel": info.channel,
        "channel_id": info.channel_id,
        "upload_date": _day(info.upload_date),
        "duration_s": info.duration_s,
        "language": info.language,
        "webpage_url": shown(info.webpage_url),
        "thumbnail_url": info.thumbnail_url,
        "chapters": [
            {"start_s": chapter.start_s, "end_s": chapter.end_s, "title": chapter.title}
            for chapter in info.chapters
        ],
    }


def _unchanged(url: str | None) -> str | None:
    return url


def _without_query(url: str | None) -> str | None:
    """Return the URL without its query: a signed URL must not be readable by all who query the
    lake."""
    return urlunsplit((*urlsplit(url)[:3], "", "")) if url else url


def _moment(text: str) -> datetime:
    timestamp = datetime.fromisoformat(text)
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)


def _day(text: str | None) -> date | None:
    """Parse an untrusted date; None where it is no date."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
