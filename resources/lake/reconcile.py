"""Comparison of Postgres with the lake: segments, words and text of every transcription.

Both sides return three numbers per transcription, so that memory does not grow with the text: the
counts of segments and words, and a sum over the segments of a hash of index, times and text, which
does not depend on the order of rows. `ytcaption lake verify` compares every value with the
documents instead, which takes as long as reading all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from resources.lake.connection import LakeConnection
from resources.postgres.connection import Postgres
from resources.postgres.predicates import is_erased
from ytcaption.domain.errors import LakeUnavailable

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
    with segment_sums as (
        select transcription_id, count(*) as segments, sum(('0x' || left(md5(concat_ws(
            ':', segment_index, floor(start_s * 1000 + 0.5)::bigint,
            floor(end_s * 1000 + 0.5)::bigint, text)), 15))::bigint) as text_hash
        from lake.main.segments group by 1
    ), word_counts as (select transcription_id, count(*) as words from lake.main.words group by 1)
    select transcription_id, coalesce(segments, 0), coalesce(words, 0),
        coalesce(text_hash, 0)::varchar
    from (select distinct transcription_id from lake.main.transcripts)
        left join segment_sums using (transcription_id)
        left join word_counts using (transcription_id)
    where $ids is null or transcription_id in (select unnest($ids::varchar[]))
    order by transcription_id
"""
_BATCH_ROWS = 1_000


class Digest(NamedTuple):
    """The compared numbers of one transcription."""

    segments: int
    words: int
    text_hash: str


@dataclass(frozen=True)
class Agreement:
    """The differences.

    Attributes:
        compared: transcriptions that are on either side.
        missing: completed, but not in the lake.
        extra: in the lake, but not completed.
        count_mismatches: with different numbers of segments or words.
        text_mismatches: with the same numbers, but different text or times.
    """

    compared: int
    segments: int
    words: int
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    count_mismatches: tuple[str, ...]
    text_mismatches: tuple[str, ...]

    @property
    def differing(self) -> list[str]:
        """Return the ids of all transcriptions that differ."""
        return [*self.missing, *self.extra, *self.count_mismatches, *self.text_mismatches]


def agreement(postgres: Postgres, lake: LakeConnection) -> Agreement:
    """Compare all transcriptions, then those that differ again with writers of the lake locked out.

    By the second comparison a run may have completed them, or started again.

    Raises:
        DatabaseUnavailable, LakeUnavailable.
    """
    try:
        first = _compare(postgres, lake, None)
    except LakeUnavailable:  # an erasure or maintenance may have removed a file while it was read
        with lake.locked():
            first = _compare(postgres, lake, None)
    if not first.differing:
        return first
    with lake.locked(exclusive=True):
        second = _compare(postgres, lake, first.differing)
    return Agreement(
        first.compared,
        first.segments,
        first.words,
        second.missing,
        _without_running(postgres, second.extra),
        second.count_mismatches,
        second.text_mismatches,
    )


def _compare(postgres: Postgres, lake: LakeConnection, ids: list[str] | None) -> Agreement:
    differing: dict[str, list[str]] = {
        name: [] for name in ("missing", "extra", "count_mismatches", "text_mismatches")
    }
    compared = segments = words = 0
    for id, expected, stored in _side_by_side(_from_postgres(postgres, ids), _from_lake(lake, ids)):
        compared += 1
        if stored is not None:
            segments, words = segments + stored.segments, words + stored.words
        if stored is None:
            differing["missing"].append(id)
        elif expected is None:
            differing["extra"].append(id)
        elif stored[:2] != expected[:2]:
            differing["count_mismatches"].append(id)
        elif stored != expected:
            differing["text_mismatches"].append(id)
    return Agreement(
        compared, segments, words, **{name: tuple(group) for name, group in differing.items()}
    )


def _side_by_side(
    left: Iterator[tuple[str, Digest]], right: Iterator[tuple[str, Digest]]
) -> Iterator[tuple[str, Digest | None, Digest | None]]:
    """Merge two iterators that are sorted by id."""
    ours, theirs = next(left, None), next(right, None)
    while ours is not None or theirs is not None:
        if theirs is None or (ours is not None and ours[0] < theirs[0]):
            assert ours is not None
            yield ours[0], ours[1], None
            ours = next(left, None)
        elif ours is None or theirs[0] < ours[0]:
            yield theirs[0], None, theirs[1]
            theirs = next(right, None)
        else:
            yield ours[0], ours[1], theirs[1]
            ours, theirs = next(left, None), next(right, None)


def _from_postgres(postgres: Postgres, ids: list[str] | None) -> Iterator[tuple[str, Digest]]:
    with postgres.transaction() as connection, connection.cursor("lake_agreement") as cursor:
        cursor.itersize = _BATCH_ROWS
        cursor.execute(_IN_POSTGRES, {"ids": ids})
        for row in cursor:
            yield row["id"], Digest(row["segments"], row["words"], row["text_hash"])


def _from_lake(lake: LakeConnection, ids: list[str] | None) -> Iterator[tuple[str, Digest]]:
    with lake.cursor() as cursor:
        rows = cursor.execute(_IN_LAKE, {"ids": ids})
        while batch := rows.fetchmany(_BATCH_ROWS):
            for id, *digest in batch:
                yield id, Digest(*digest)


def _without_running(postgres: Postgres, ids: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out transcriptions being redone or completed: the lake may hold their old rows."""
    rows = postgres.rows(
        "select id from ytcaption.transcription where id = any(%(ids)s) "
        "and (status in ('queued', 'running') or document_key is not null)",
        {"ids": list(ids)},
    )
    running = {row["id"] for row in rows}
    return tuple(id for id in ids if id not in running)
