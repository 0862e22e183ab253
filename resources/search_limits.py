"""What a search's statements may take, and how Postgres is to plan them."""

from collections.abc import Mapping
from typing import LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

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
