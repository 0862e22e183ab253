"""Estimates of matches by Postgres' statistics, and limits on the cost of a search."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

MIN_DOCUMENTS, MAX_DOCUMENTS = 50, 1_000
"""Number of transcripts that one batch searches."""

_READ_US, _ENTRY_US, _POSITION_US = 0.45, 0.1, 0.05
"""Microseconds to read a segment, an entry of the index of words, and a segment's position.

Measured by `benchmarks.search`; only their ratios matter.
"""

_SLACK = 1.25


@dataclass(frozen=True)
class LibrarySize:
    """Approximate sizes, at least 1 each.

    Attributes:
        passages: embedded ones, of all models.
    """

    segments: float
    documents: float
    passages: float


@dataclass(frozen=True)
class Estimate:
    """An estimate of the matches, which may be wrong for clustered or recent ones.

    Attributes:
        matches: matching segments.
    """

    matches: float
    library: LibrarySize

    def documents_holding(self, segments: int) -> int:
        """Return how many transcripts are likely to hold that many matches, within the bounds."""
        needed = _SLACK * segments * self.library.documents / max(self.matches, 1.0)
        return min(MAX_DOCUMENTS, max(MIN_DOCUMENTS, math.ceil(needed)))

    def is_reading_faster(self, documents: int) -> bool:
        """Return whether reading the segments of that many transcripts beats the index of words.

        The index reads the whole list of a common word.
        """
        segments = documents * self.library.segments / self.library.documents
        return _READ_US * segments < _ENTRY_US * self.matches + _POSITION_US * segments


def estimate(connection: Connection[DictRow], tsquery: str) -> Estimate:
    """Return the estimate for a tsquery."""
    planned: Any = connection.execute(_PLAN, {"tsquery": tsquery}).fetchone()
    [plan] = planned["QUERY PLAN"]
    return Estimate(plan["Plan"]["Plan Rows"], library_size(connection))


def library_size(connection: Connection[DictRow]) -> LibrarySize:
    """Return Postgres' latest counts."""
    size = connection.execute(_SIZE).fetchone()
    assert size is not None
    return LibrarySize(**{name: max(count or 0.0, 1.0) for name, count in size.items()})


_PLAN: LiteralString = (
    "explain (format json) select from ytcaption.segment where tsv @@ %(tsquery)s::tsquery"
)
_SIZE: LiteralString = """
select
    (select reltuples from pg_class where oid = 'ytcaption.segment'::regclass) as segments,
    (select reltuples from pg_class where oid = 'ytcaption.transcription'::regclass) as documents,
    (select reltuples from pg_class where oid = to_regclass('ytcaption.embedding')) as passages
"""


TIMEOUT_MS = 2_000
"""Time limit of one statement."""


def bound_statements(
    connection: Connection[DictRow], timeout_ms: int, settings: Mapping[str, str]
) -> None:
    """Set limits for the rest of the transaction.

    Parallel workers and compilation are off: both take longer to start than a search. Sequential
    scans are off, because statistics may be missing.

    Args:
        settings: further settings.
    """
    values = {"statement_timeout": str(timeout_ms), **_ALWAYS, **settings}
    connection.execute(_SET, {"names": list(values), "settings": list(values.values())})


_ALWAYS = {"jit": "off", "max_parallel_workers_per_gather": "0", "enable_seqscan": "off"}
_SET: LiteralString = """
select set_config(name, setting, true)
from unnest(%(names)s::text[], %(settings)s::text[]) as new (name, setting)
"""
