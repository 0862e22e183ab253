"""The same segments in a plain Postgres table and in DuckDB's full-text search."""

import threading
import time
from pathlib import Path
from typing import LiteralString

import duckdb
import psycopg

from resources.lake.extensions import load_extensions

ROWS = 10


class PlainPostgres:
    """A table with a `simple` tsvector and its index, and the text for ILIKE; without rights.

    Attributes:
        description: build time and size.
    """

    def __init__(self, connection: psycopg.Connection, url: str) -> None:
        connection.execute("drop table if exists public.plain")
        began = time.perf_counter()
        connection.execute(
            "create table public.plain as select transcription_id, index, text, "
            "to_tsvector('simple', text) as tsv from ytcaption.segment"
        )
        connection.execute("create index plain_tsv on public.plain using gin (tsv)")
        connection.execute("vacuum analyze public.plain")
        row = connection.execute(
            "select pg_size_pretty(pg_total_relation_size('public.plain'))"
        ).fetchone()
        self.description = f"plain Postgres {time.perf_counter() - began:.0f} s, {row and row[0]}"
        self._url = url
        self._local = threading.local()
        # Kept open, so that the CPU time of their backends can be read at the end.
        self._connections: list[psycopg.Connection] = []

    def by_words(self, text: str) -> object:
        """Return the best ten rows."""
        return self._rows(_BY_WORDS, text)

    def by_phrase(self, text: str) -> object:
        """Return the best ten rows with the words next to each other."""
        return self._rows(_BY_PHRASE, text.strip('"'))

    def by_ilike(self, text: str) -> object:
        """Return ten rows that contain the text."""
        return self._rows(_BY_ILIKE, f"%{text}%")

    def _rows(self, statement: LiteralString, text: str) -> object:
        if not hasattr(self._local, "connection"):
            self._local.connection = psycopg.connect(self._url, autocommit=True)
            self._connections.append(self._local.connection)
        return self._local.connection.execute(statement, {"text": text, "rows": ROWS}).fetchall()


_RANKED = """
select transcription_id, index, text, ts_rank_cd(tsv, query) as rank
from public.plain, {query} as query where tsv @@ query order by rank desc limit %(rows)s
"""
_BY_WORDS = _RANKED.format(query="plainto_tsquery('simple', %(text)s)")
_BY_PHRASE = _RANKED.format(query="phraseto_tsquery('simple', %(text)s)")
_BY_ILIKE = """
select transcription_id, index, text from public.plain where text ilike %(text)s
order by transcription_id desc, index limit %(rows)s
"""


class DuckFts:
    """DuckDB's extension fts: BM25, with English stemming.

    Attributes:
        description: build time and size.
    """

    def __init__(self, connection: psycopg.Connection, path: Path) -> None:
        path.unlink(missing_ok=True)
        began = time.perf_counter()
        self._database = duckdb.connect(str(path))
        load_extensions(self._database, "fts")
        self._database.execute("create table plain (id bigint, text varchar)")
        csv = path.with_suffix(".csv")
        with (
            csv.open("wb") as file,
            connection.cursor().copy(
                "copy (select row_number() over (), text from ytcaption.segment) to stdout"
            ) as copy,
        ):
            for block in copy:
                file.write(block)
        self._database.execute(
            f"insert into plain from read_csv('{csv}', delim='\t', header=false, quote='', "
            "columns={'id': 'bigint', 'text': 'varchar'})"
        )
        csv.unlink()
        self._database.execute("pragma create_fts_index('plain', 'id', 'text')")
        self._database.execute("checkpoint")
        self.description = (
            f"DuckDB FTS {time.perf_counter() - began:.0f} s, "
            f"{path.stat().st_size / 1024**2:.0f} MB"
        )

    def by_words(self, text: str) -> object:
        """Return the best ten rows."""
        return (
            self._database.cursor()
            .execute(
                "select id, text, fts_main_plain.match_bm25(id, ?) as score from plain "
                "where score is not null order by score desc limit 10",
                [text],
            )
            .fetchall()
        )
