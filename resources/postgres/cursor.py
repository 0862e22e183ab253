"""A cursor for statements that outlive a migration.

psycopg prepares a statement that a connection executes often. If a migration then adds a column, a
prepared statement that returns all columns (`select *`) fails: "cached plan must not change result
type". A request in flight cannot be repeated from within, so such statements are not prepared. All
others keep their plan, which Postgres adapts by itself.
"""

import re
from functools import lru_cache
from typing import Any, Self, cast

from psycopg import Cursor, sql
from psycopg.rows import DictRow

_ALL_COLUMNS = re.compile(
    # `*` or `t.*` as a column of a list; not `count(*)`, not a multiplication.
    rb"(?:\b(?:select|returning|distinct|all)|,|\))\s+(?:\w+\.)?\*|,\s*(?:\w+\.)?\*",
    re.IGNORECASE,
)


class StableCursor(Cursor[DictRow]):
    """Executes a statement that returns all columns of a table without preparing it."""

    def execute(
        self, query: Any, params: Any = None, *, prepare: bool | None = None, **options: Any
    ) -> Self:
        """Execute a statement; see psycopg's Cursor."""
        if isinstance(query, sql.Composable):
            query = query.as_bytes(self)
        if prepare is None and isinstance(query, str | bytes) and returns_all_columns(query):
            prepare = False
        return super().execute(cast(Any, query), params, prepare=prepare, **options)


@lru_cache(2048)
def returns_all_columns(query: str | bytes) -> bool:
    """Return whether the result of a statement depends on which columns a table has."""
    text = query.encode() if isinstance(query, str) else query
    return _ALL_COLUMNS.search(text) is not None
