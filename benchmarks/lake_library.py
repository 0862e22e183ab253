"""A lake of real text for its benchmark: 200 segments per transcript, words with times.

The text is that of `benchmarks/search_library.py`, from random positions. Channels, languages, days
and scores are made up. Rows are inserted for up to a thousand transcripts of a month at a time
through the product's own connection, one DuckLake transaction each: `TranscriptCatalog.append`
writes files for each transcript, which would take hours for a hundred thousand.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from benchmarks.search_library import CHANNELS, SEGMENTS
from resources.lake.catalog import TranscriptCatalog
from resources.lake.connection import LakeConnection
from tests.support.lake_documents import make_document
from ytcaption.domain.transcripts.lake_rows import counted_word

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 1_000
FIRST_YEAR, MONTHS = 2024, 24
"""Time in which the transcripts were created, evenly distributed."""


def transcription_id(number: int) -> str:
    """Return the id of a transcription, numbered from 0."""
    media = f"youtube-{number:011}"
    return f"{media}.{hashlib.md5(media.encode()).hexdigest()[:26]}"


def fill(lake: LakeConnection, text: Sequence[str], count: int) -> float:
    """Add transcripts to an empty lake; return the seconds it took."""
    began = time.perf_counter()
    with lake.cursor() as cursor:
        cursor.register("new_lines", _lines(text))
        cursor.execute("create or replace temporary table line as from new_lines")
        cursor.unregister("new_lines")
        for month, first, end in _batches(count):
            values = {"month": month, "first": first, "end": end, "channels": CHANNELS}
            cursor.execute(
                f"create or replace temporary table created as {_CREATED}",
                values | {"lines": len(text) - SEGMENTS},
            )
            cursor.begin()
            for table, rows in _ROWS.items():
                cursor.execute(f"insert into lake.main.{table} by name {rows}")
            cursor.commit()
    return time.perf_counter() - began


def _batches(count: int) -> Iterator[tuple[str, int, int]]:
    """Yield the first day of a month, and the first and the end number of a batch."""
    for month in range(MONTHS):
        last = count * (month + 1) // MONTHS
        for first in range(count * month // MONTHS, last, BATCH):
            year, of_year = FIRST_YEAR + month // 12, month % 12 + 1
            yield f"{year}-{of_year:02}-01", first, min(first + BATCH, last)


def append(catalog: TranscriptCatalog, count: int) -> float:
    """Append transcripts of 2,000 words one by one, as the asset does; return seconds each."""
    documents = [make_document(f"fresh{number}", words=2_000) for number in range(count)]
    began = time.perf_counter()
    for document in documents:
        catalog.append(*document)
    return (time.perf_counter() - began) / count


def _lines(text: Sequence[str]) -> "pa.Table":
    """Return the text by line, with its words as written and as counted, and words before it."""
    import pyarrow as pa

    words = [line.split() for line in text]
    counted = {word: counted_word(word) for line in words for word in line}
    words_before, total = [], 0
    for line in words:
        words_before.append(total)
        total += len(line)
    return pa.table(
        {
            "number": range(len(text)),
            "text": list(text),
            "words": words,
            "counted": [[counted[word] for word in line] for line in words],
            "words_before": words_before,
        }
    )


_CREATED = """
select
    'youtube-' || lpad(number::varchar, 11, '0') as media_id,
    media_id || '.' || left(md5(media_id), 26) as transcription_id,
    number, (hash(number, 1) % $lines)::integer as first_line,
    floor($channels * (hash(number, 2) % 1000 / 1000) ** 2)::integer as channel,
    case when channel % 12 = 7 then 'de' when channel % 9 = 5 then 'es' else 'en' end as language,
    case when hash(number, 3) % 3 = 0 then 'small' else 'base' end as model,
    $month::timestamptz + to_seconds(hash(number, 4) % 2400000) as made_at,
    60 + hash(number, 5) % 900 as delay_s
from (select unnest(range($first, $end)) as number)
"""
_SPOKEN = f"""
created cross join (select unnest(range({SEGMENTS}))::integer as segment_index)
join line on line.number = first_line + segment_index
"""
_ROWS = {
    "transcripts": f"""
        select transcription_id, media_id, 'transcribe' as task, language,
            0.9 as language_probability, language as text_language,
            {SEGMENTS * 4.0} as duration_s,
            {SEGMENTS * 4.0} * (0.7 + channel % 10 * 0.03) as speech_s,
            {SEGMENTS} as segment_count, sum(len(line.words))::integer as word_count,
            0 as dropped_count,
            string_agg(line.text, chr(10) order by segment_index) as text,
            'asr' as source, 'ytcaption' as engine, '1' as engine_version, model,
            md5(model) as model_revision, 'cpu' as device, 'int8' as compute_type,
            '{{}}' as options, md5(media_id) as audio_sha256, uuid()::varchar as run_id,
            made_at as created_at, made_at - to_seconds(delay_s) as queued_at,
            made_at - to_seconds(delay_s / 2) as started_at, delay_s / 4 as processing_s
        from {_SPOKEN} group by all
    """,
    "segments": f"""
        select transcription_id, media_id, segment_index, segment_index * 4.0 as start_s,
            segment_index * 4.0 + 3.5 as end_s, line.text, language,
            len(line.words)::integer as word_count,
            -0.1 - (hash(created.number, segment_index) % 1000 / 1000) ** 8 * 2 as avg_logprob,
            0.01 as no_speech_prob,
            1 + hash(segment_index, created.number) % 1500 / 1000 as compression_ratio,
            0.0 as temperature, made_at
        from {_SPOKEN}
    """,
    "words": f"""
        select transcription_id, media_id, segment_index,
            (line.words_before - first.words_before + place - 1)::integer as word_index,
            segment_index * 4 + 3.5 * (place - 1) / len(line.words) as start_s,
            segment_index * 4 + 3.5 * place / len(line.words) as end_s,
            ' ' || line.words[place] as text, line.counted[place] as word, language,
            1 - hash(line.number, place) % 300 / 1000 as probability, made_at
        from {_SPOKEN} join line as first on first.number = first_line
        cross join lateral (select unnest(range(1, len(line.words) + 1)) as place)
    """,
    "media": f"""
        select media_id, 'site' as kind,
            'https://www.youtube.com/watch?v=' || media_id[9:] as url, 'Youtube' as extractor,
            'Video ' || number as title, 'Channel ' || channel as channel,
            'UC' || channel as channel_id,
            made_at::date - (hash(number, 6) % 700)::integer as upload_date,
            {SEGMENTS * 4.0} as duration_s, language
        from created
    """,
    "caption_accuracy": """
        select transcription_id, media_id, model, language, 'track' as reference_kind,
            2000 as words, 0.05 + hash(number, 7) % 100 / 1000 as wer, 60 as substitutions,
            40 as deletions, 20 as insertions, made_at as measured_at
        from created where number % 10 = 0
    """,
}
