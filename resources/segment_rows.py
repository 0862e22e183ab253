"""What the rows of `ytcaption.segment` are in Python."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from psycopg.types.json import Jsonb

from resources.request_rows import clean
from ytcaption_assets.domain.transcript import Segment, Word


def segment_row(row: Mapping[str, Any]) -> Segment:
    """From `select *` of `ytcaption.segment`."""
    values: dict[str, Any] = {name: row[name] for name in Segment.__dataclass_fields__}
    values["words"] = tuple(Word(**word) for word in row["words"])
    return Segment(**values)


def segment_values(segment: Segment) -> tuple[Any, ...]:
    """For the columns of `ytcaption.segment` that follow `transcription_id`, in their order."""
    return (
        segment.index,
        segment.start_s,
        segment.end_s,
        clean(segment.text),
        Jsonb([clean(asdict(word)) for word in segment.words]),
        segment.avg_logprob,
        segment.no_speech_prob,
        segment.compression_ratio,
        segment.temperature,
    )
