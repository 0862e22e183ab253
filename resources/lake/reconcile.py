"""Postgres and the lake side by side: segments, words and text of every transcription.

Of each transcription both sides give three numbers, so that memory does not grow with the text:
how many segments and words there are, and a sum over the segments of a hash of place, times and
text, which does not depend on the order of rows. `ytcaption lake verify` compares every value
instead, with the documents, and takes as long as reading all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from resources.lake.connection import LakeConnection
from resources.postgres.connection import Postgres
from resources.postgres.predicates import is_erased

# Times as whole milliseconds, rounded by the same arithmetic on both sides; 60 bits of each hash.
_IN_POSTGRES = f"""
    select t.id, count(s.index) as segments,
        coalesce(sum(jsonb_array_length(s.words)), 0)::bigint as words,
        coalesce(sum(('x' || substr(md5(concat_ws(
            ':', s.index, floor(s.start_s * 1000 + 0.5)::bigint,
            floor(s.end_s * 1000 + 0.5)::bigint, s.text)), 1, 15))::bit(60)::bigint)
            filter (where s.index is not null), 0)::text as text_hash
    from ytcaption.transcription t left join ytcaption.segment s on s.transcription_id = t.id
    where t.status = 'completed' and not {is_erased("t.id")}
        and (%(ids)s::text[] is null or t.id = any(%(ids)s))
    group by t.id order by t.id collate "C"
"""  # noqa: S608 - of literals only
_IN_LAKE = """
    with spoken as (
        select transcription_id, count(*) as segments, sum(('0x' || left(md5(concat_ws(
            ':', segment_index, floor(start_s * 1000 + 0.5)::bigint,
            floor(end_s * 1000 + 0.5)::bigint, text)), 15))::bigint) as text_hash
        from lake.main.segments group by 1
    ), counted as (select transcription_id, count(*) as words from lake.main.words group by 1)
    select transcription_id, coalesce(segments, 0), coalesce(words, 0),
        coalesce(text_hash, 0)::varchar
    from (select distinct transcription_id from lake.main.transcripts)
        left join spoken using (transcription_id) left join counted using (transcription_id)
    where $ids is null or transcription_id in (select unnest($ids::varchar[]))
    order by transcription_id
"""
_FETCHED = 1_000


class Digest(NamedTuple):
    """What is compared of one transcription."""

    segments: int
    words: int
    text_hash: str


@dataclass(frozen=True)
class Agreement:
    """What was found.

    Attributes:
        compared: transcriptions that either side has.
        missing: completed, and not in the lake.
        left_over: in the lake, and not completed.
        other_counts: with another number of segments or words.
        other_text: with the same numbers, and other text or times.
    """

    compared: int
    segments: int
    words: int
    missing: tuple[str, ...]
    left_over: tuple[str, ...]
    other_counts: tuple[str, ...]
    other_text: tuple[str, ...]

    @property
    def differing(self) -> list[str]:
        """All that is wrong."""
        return [*self.missing, *self.left_over, *self.other_counts, *self.other_text]


def agreement(postgres: Postgres, lake: LakeConnection) -> Agreement:
    """Compare all. What differs is looked at once more, with no writer at the lake: by then a run
    may have completed it, or begun anew.

    Raises:
        DatabaseUnavailable, LakeUnavailable.
    """
    found = _compare(postgres, lake, None)
    if not found.differing:
        return found
    with lake.locked(exclusive=True):
        again = _compare(postgres, lake, found.differing)
    return Agreement(
        found.compared,
        found.segments,
        found.words,
        again.missing,
        _without_running(postgres, again.left_over),
        again.other_counts,
        again.other_text,
    )


def _compare(postgres: Postgres, lake: LakeConnection, ids: list[str] | None) -> Agreement:
    wrong: dict[str, list[str]] = {
        name: [] for name in ("missing", "left_over", "other_counts", "other_text")
    }
    compared = segments = words = 0
    for id, expected, stored in _side_by_side(_from_postgres(postgres, ids), _from_lake(lake, ids)):
        compared += 1
        if stored is not None:
            segments, words = segments + stored.segments, words + stored.words
        if stored is None:
            wrong["missing"].append(id)
        elif expected is None:
            wrong["left_over"].append(id)
        elif stored[:2] != expected[:2]:
            wrong["other_counts"].append(id)
        elif stored != expected:
            wrong["other_text"].append(id)
    return Agreement(compared, segments, words, **{name: tuple(its) for name, its in wrong.items()})


def _side_by_side(
    left: Iterator[tuple[str, Digest]], right: Iterator[tuple[str, Digest]]
) -> Iterator[tuple[str, Digest | None, Digest | None]]:
    """Both in the order of ids, merged."""
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None
            yield one[0], one[1], None
            one = next(left, None)
        elif one is None or other[0] < one[0]:
            yield other[0], None, other[1]
            other = next(right, None)
        else:
            yield one[0], one[1], other[1]
            one, other = next(left, None), next(right, None)


def _from_postgres(postgres: Postgres, ids: list[str] | None) -> Iterator[tuple[str, Digest]]:
    with postgres.transaction() as connection, connection.cursor("lake_agreement") as cursor:
        cursor.itersize = _FETCHED
        cursor.execute(_IN_POSTGRES, {"ids": ids})
        for row in cursor:
            yield row["id"], Digest(row["segments"], row["words"], row["text_hash"])


def _from_lake(lake: LakeConnection, ids: list[str] | None) -> Iterator[tuple[str, Digest]]:
    with lake.cursor() as cursor:
        rows = cursor.execute(_IN_LAKE, {"ids": ids})
        while some := rows.fetchmany(_FETCHED):
            for id, *digest in some:
                yield id, Digest(*digest)


def _without_running(postgres: Postgres, ids: tuple[str, ...]) -> tuple[str, ...]:
    """The rows of one that is made anew, or is about to be completed, may be there already."""
    rows = postgres.rows(
        "select id from ytcaption.transcription where id = any(%(ids)s) "
        "and (status in ('queued', 'running') or document_key is not null)",
        {"ids": list(ids)},
    )
    known = {row["id"] for row in rows}
    return tuple(id for id in ids if id not in known)
