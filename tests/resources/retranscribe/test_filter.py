"""Filter expressions: what they mean, and what is refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from resources.postgres.connection import Postgres
from resources.retranscribe.columns import COLUMNS
from resources.retranscribe.filter import MAX_LENGTH, version_filter
from tests.support.paths import ROOT
from ytcaption.domain.errors import InvalidOption

ROWS = """
select t.id from ytcaption.transcription t join ytcaption.media m on m.id = t.media_id
left join ytcaption.caption_accuracy a on a.transcription_id = t.id where {} order by t.id
"""
HOSTILE = [
    "",
    "model",
    "1=1",
    "model = 'x'; drop table ytcaption.media",
    "model = 'x' union select 1",
    "exists (select 1)",
    "model in (select model)",
    "pg_sleep(10) = 1",
    "model = pg_read_file('/etc/passwd')",
    "duration_s = 1 + 1",
    "model = language",
    "t.model = 'x'",
    "ytcaption.media.model = 'x'",
    "model::int = 1",
    "model = 'x' collate \"C\"",
    "model ~ '(a+)+$'",
    "model similar to 'x'",
    "title like 'a\\'",
    "title like 'x' escape '!'",
    "title = E'\\x00'",
    "title = 'a\x00'",
    "title = %(owner)s",
    "title = :x",
    "title = $1",
    "title like any (array['x'])",
    "duration_s = 'x'",
    "duration_s = 1e999",
    "duration_s = -'1'",
    "created_at < 'yesterday'",
    "created_at < now()",
    "model = 1",
    "model in ()",
    "channel < 'a'",
    "channel is null",
    "changed > true",
    "changed = 'x'",
    "duration_s between symmetric 2 and 1",
    "case when changed then true end",
    "(" * 900 + "changed" + ")" * 900,
    "not " * 400 + "changed",
    " or ".join(["changed"] * 150),
    "x" * (MAX_LENGTH + 1),
    "password = 'x'",
    "options = 'x'",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_unknown_syntax_is_refused(text: str):
    """With a message; no part of it becomes SQL."""
    with pytest.raises(InvalidOption):
        version_filter(text)


VALUES = {
    "text": "'base'",
    "time": "'2026-06-01'",
    "number": "-1.5",
    "flag": "true",
    "channel": "'x'",
}


def test_every_column_can_be_used(postgres: Postgres):
    """With the rights of runs; Postgres accepts the SQL of each."""
    for name, column in COLUMNS.items():
        for operator in ("=", "<>"):
            found = version_filter(f"not ({name} {operator} {VALUES[column.kind]}) or changed")
            with postgres.transaction() as connection:
                connection.execute(
                    sql.SQL(ROWS).format(found.condition), found.values | {"owner": "key:anna"}
                )
        assert found.columns == {name, "changed"} and column.description


@given(st.text(max_size=60))
def test_values_are_bound(text: str):
    """They are nowhere in the SQL."""
    quoted = "'" + text.replace("'", "''") + "'"
    try:
        found = version_filter(f"title = {quoted}")
    except InvalidOption:
        assert "\x00" in text or "\\" in text or not text.isprintable()
        return
    assert list(found.values.values()) == [text]
    assert found.condition.as_string(None).count("where_0") == 1


@given(st.text(max_size=80))
def test_any_text_is_understood_or_refused(text: str):
    """No other error is raised."""
    with suppress(InvalidOption):
        version_filter(text)


def test_the_docs_list_all_columns():
    """The page of expressions has each, with what it is."""
    page = (ROOT / "docs" / "reference" / "version-filter.md").read_text(encoding="utf-8")
    for name, column in COLUMNS.items():
        assert f"| `{name}` | {column.kind} | {column.description} |" in page
