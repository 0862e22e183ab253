"""What the rows of `ytcaption.segment` are in Python."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.postgres.jsonb import clean
from ytcaption.domain.transcripts.transcript import Segment, Word

BATCH = 500
"""Segments that are written at a time: of ten hours of speech a few megabytes are in memory."""

_NUMBERS = (
    "index", "start_s", "end_s", "avg_logprob", "no_speech_prob", "compression_ratio",
    "temperature",
)  # fmt: skip


def segment_row(row: Mapping[str, Any]) -> Segment:
    """From `select *` of `ytcaption.segment`."""
    values: dict[str, Any] = {name: row[name] for name in Segment.__dataclass_fields__}
    values["words"] = tuple(Word(**word) for word in row["words"])
    return Segment(**values)


def write_segments(
    connection: Connection[DictRow], id: str, language: str | None, segments: Sequence[Segment]
) -> None:
    """The text of a transcription that has none, with what it is found by.

    Args:
        language: that it is written in; None where nothing was said.
    """
    for first in range(0, len(segments), BATCH):
        batch = segments[first : first + BATCH]
        texts = [clean(segment.text) for segment in segments[first : first + BATCH + 1]]
        connection.execute(
            """
            insert into ytcaption.segment (
                transcription_id, index, start_s, end_s, text, words, avg_logprob, no_speech_prob,
                compression_ratio, temperature, language, tsv
            )
            select
                %(id)s, said.index, start_s, end_s, said.text, words, avg_logprob, no_speech_prob,
                compression_ratio, temperature, %(language)s,
                ytcaption.search_vector(%(language)s, said.text, following)
            from unnest(
                %(index)s::integer[], %(start_s)s::float8[], %(end_s)s::float8[], %(text)s::text[],
                %(following)s::text[], %(words)s::jsonb[], %(avg_logprob)s::float8[],
                %(no_speech_prob)s::float8[], %(compression_ratio)s::float8[],
                %(temperature)s::float8[]
            ) as said (
                index, start_s, end_s, text, following, words, avg_logprob, no_speech_prob,
                compression_ratio, temperature)
            """,
            {name: [getattr(segment, name) for segment in batch] for name in _NUMBERS}
            | {
                "id": id,
                "language": language,
                "text": texts[: len(batch)],
                "following": [*texts[1:], *[None] * (len(batch) + 1 - len(texts))],
                "words": [
                    Jsonb([clean(asdict(word)) for word in segment.words]) for segment in batch
                ],
            },
        )
