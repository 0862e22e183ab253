"""Of a dump only rows are taken: no statement of it is executed, and others are refused."""

import io
from pathlib import Path

import pytest

from resources.backup.archive import Archive, Position, Rows
from resources.backup.manifest import CopiedFile
from ytcaption.domain.errors import InputError, StorageError

pytestmark = pytest.mark.unit

HEAD = """--
-- PostgreSQL database dump
--

\\restrict abcXYZ019

SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
SET client_min_messages = warning;

"""
ROWS = '''COPY ytcaption.media (id, "Odd ""name""") FROM stdin;
a\t\\\\! not a command
b\tdrop schema ytcaption;
\\.

'''


def parts(text: str) -> list[Rows | Position]:
    """Read a text of pg_restore to its end."""
    archive = Archive(Path("ytcaption.dump"), CopiedFile(0, ""), 18)
    return list(archive._parts(io.BytesIO(text.encode())))


def test_rows_and_positions_are_recognised():
    """Rows may contain anything."""
    archive = Archive(Path("ytcaption.dump"), CopiedFile(0, ""), 18)
    text = HEAD + ROWS + "SELECT pg_catalog.setval('ytcaption.event_id_seq', 41, true);\n"
    found = archive._parts(io.BytesIO(text.encode()))
    rows = next(found)
    assert isinstance(rows, Rows)
    assert (rows.name, rows.columns) == ("ytcaption.media", ("id", 'Odd "name"'))
    assert list(rows.lines) == [b"a\t\\\\! not a command\n", b"b\tdrop schema ytcaption;\n"]
    assert next(found) == Position("ytcaption", "event_id_seq", 41, True)
    assert list(found) == []


def test_rows_that_are_not_read_are_skipped():
    """The next part begins behind them."""
    assert [type(part) for part in parts(HEAD + ROWS + ROWS)] == [Rows, Rows]


@pytest.mark.parametrize(
    "line",
    [
        "create table ytcaption.evil ();",
        "\\! touch /tmp/x",
        "\\copy ytcaption.media from program 'sh'",
        "\\o |sh",
        "COPY ytcaption.media (id) FROM PROGRAM 'sh';",
        "COPY ytcaption.media (id) FROM stdin; drop schema ytcaption;",
        "COPY ytcaption.media (id) FROM '/etc/passwd';",
        "COPY (select 1) TO PROGRAM 'sh';",
        "COPY ytcaption.media (id) FROM stdin WITH (FORMAT csv);",
        "copy ytcaption.media (id) from stdin;",
        "COPY media (id) FROM stdin;",
        "SET client_encoding = 'SJIS';",
        "SET role postgres;drop schema ytcaption;",
        "SET SESSION AUTHORIZATION postgres;",
        "SELECT pg_catalog.setval('ytcaption.x', 1, true); drop schema ytcaption;",
        "SELECT pg_catalog.setval('ytcaption.x''', 1, true);",
        "SELECT pg_catalog.set_config('search_path', 'evil', false);",
        "SELECT pg_catalog.lo_create('1');",
        "ALTER TABLE ytcaption.media DISABLE TRIGGER ALL;",
        " ",
        "/* */",
        "\\.",
    ],
)
def test_other_statements_are_refused(line: str):
    """Whatever pg_restore would hand to psql."""
    with pytest.raises(InputError, match="holds what ytcaption does not dump"):
        parts(HEAD + line + "\n")


def test_a_dump_that_ends_within_a_table_is_refused():
    """It would seem to have fewer rows."""
    with pytest.raises(StorageError, match="ends within a table"):
        parts(HEAD + ROWS.replace("\\.\n", ""))
