"""How common what is looked for is, by Postgres' statistics, and what it costs to find some."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

LEAST, MOST = 50, 1_000
"""Transcripts that one look goes into."""

_READ_US, _ENTRY_US, _PLACE_US = 0.45, 0.1, 0.05
"""Microseconds to read a segment, an entry of the index of words, and a segment's place. Measured
by `benchmarks.search`; only their ratios count."""

_SLACK = 1.25


@dataclass(frozen=True)
class LibrarySize:
    """About, and at least 1 each.

    Attributes:
        passages: that are embedded, by all models.
    """

    segments: float
    documents: float
    passages: float


@dataclass(frozen=True)
class Commonness:
    """What is expected. It may be wrong: what is looked for stands together, or is new.

    Attributes:
        found: segments that hold what is looked for.
    """

    found: float
    library: LibrarySize

    def documents_with(self, enough: int) -> int:
        """How many transcripts are likely to hold so many segments of it, within the bounds."""
        needed = _SLACK * enough * self.library.documents / max(self.found, 1.0)
        return min(MOST, max(LEAST, math.ceil(needed)))

    def is_read(self, documents: int) -> bool:
        """Whether to read the segments of so many transcripts is quicker than the index of words,
        whose list of a common word is read whole."""
        segments = documents * self.library.segments / self.library.documents
        return _READ_US * segments < _ENTRY_US * self.found + _PLACE_US * segments


def commonness(connection: Connection[DictRow], question: str) -> Commonness:
    """Of what a tsquery looks for."""
    planned: Any = connection.execute(_PLANNED, {"question": question}).fetchone()
    [plan] = planned["QUERY PLAN"]
    return Commonness(plan["Plan"]["Plan Rows"], library_size(connection))


def library_size(connection: Connection[DictRow]) -> LibrarySize:
    """As Postgres has counted last."""
    size = connection.execute(_SIZE).fetchone()
    assert size is not None
    return LibrarySize(**{name: max(count or 0.0, 1.0) for name, count in size.items()})


_PLANNED: LiteralString = (
    "explain (format json) select from ytcaption.segment where tsv @@ %(question)s::tsquery"
)
_SIZE: LiteralString = """
select
    (select reltuples from pg_class where oid = 'ytcaption.segment'::regclass) as segments,
    (select reltuples from pg_class where oid = 'ytcaption.transcription'::regclass) as documents,
    (select reltuples from pg_class where oid = to_regclass('ytcaption.embedding')) as passages
"""


TIMEOUT_MS = 2_000
"""Of one statement."""


def bound_statements(
    connection: Connection[DictRow], timeout_ms: int, settings: Mapping[str, str]
) -> None:
    """For what follows in the transaction. No parallel workers and no compiling: both take longer
    to begin than a search takes. Where statistics are missing, an index all the same.

    Args:
        settings: what else is to be set.
    """
    values = {"statement_timeout": str(timeout_ms), **_ALWAYS, **settings}
    connection.execute(_SET, {"names": list(values), "settings": list(values.values())})


_ALWAYS = {"jit": "off", "max_parallel_workers_per_gather": "0", "enable_seqscan": "off"}
_SET: LiteralString = """
select set_config(name, setting, true)
from unnest(%(names)s::text[], %(settings)s::text[]) as wanted (name, setting)
"""
