"""Segments of transcripts: rows of `ytcaption.segment`, written and read."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.postgres.connection import Postgres
from resources.postgres.jsonb import clean
from ytcaption.domain.transcripts.transcript import Segment, Word

BATCH = 500
"""Segments per statement: a few megabytes of memory for ten hours of speech."""

_NUMBERS = (
    "index", "start_s", "end_s", "avg_logprob", "no_speech_prob", "compression_ratio",
    "temperature",
)  # fmt: skip


def segment_row(row: Mapping[str, Any]) -> Segment:
    """Return the segment of one row of `select * from ytcaption.segment`."""
    values: dict[str, Any] = {name: row[name] for name in Segment.__dataclass_fields__}
    values["words"] = tuple(Word(**word) for word in row["words"])
    return Segment(**values)


def stored_segments(postgres: Postgres, id: str) -> list[Segment]:
    """Return the stored segments of a transcription in time order, if any."""
    rows = postgres.rows(
        "select * from ytcaption.segment where transcription_id = %(id)s order by index",
        {"id": id},
    )
    return [segment_row(row) for row in rows]


def write_segments(
    connection: Connection[DictRow], id: str, language: str | None, segments: Sequence[Segment]
) -> None:
    """Store the segments of a transcription that has none, with their search vectors.

    Args:
        language: of the text; None if there is no speech.
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
                %(id)s, batch.index, start_s, end_s, batch.text, words, avg_logprob, no_speech_prob,
                compression_ratio, temperature, %(language)s,
                ytcaption.search_vector(%(language)s, batch.text, following)
            from unnest(
                %(index)s::integer[], %(start_s)s::float8[], %(end_s)s::float8[], %(text)s::text[],
                %(following)s::text[], %(words)s::jsonb[], %(avg_logprob)s::float8[],
                %(no_speech_prob)s::float8[], %(compression_ratio)s::float8[],
                %(temperature)s::float8[]
            ) as batch (
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
