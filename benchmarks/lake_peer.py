"""The lake's rows as plain Parquet files in one folder, queried by a bare DuckDB."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from resources.lake.connection import LakeConnection
from resources.lake.storage import quoted
from resources.lake.views import LIBRARY
from ytcaption.domain.transcripts.lake_schema import TABLES

if TYPE_CHECKING:
    import pyarrow as pa


class PlainParquet:
    """An open DuckDB in this process, with all cores and no limits.

    Attributes:
        size_bytes: of the files.
    """

    def __init__(self, lake: LakeConnection, folder: Path) -> None:
        folder.mkdir()
        self._database = duckdb.connect()
        self._database.execute("set TimeZone = 'UTC'")
        self._local = threading.local()
        self.size_bytes = 0
        for table in TABLES:
            path = folder / f"{table}.parquet"
            with lake.cursor() as cursor:
                cursor.execute(
                    f"copy (from lake.main.{table}) to {quoted(str(path))} "
                    "(format parquet, compression zstd)"
                )
            self._database.execute(f"create view {table} as from read_parquet({quoted(str(path))})")
            self.size_bytes += path.stat().st_size
        self._database.execute(LIBRARY)

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> "pa.Table":
        """Return all rows as an Arrow table."""
        if not hasattr(self._local, "cursor"):
            self._local.cursor = self._database.cursor()
        return self._local.cursor.execute(sql, dict(parameters)).to_arrow_table()
