"""The lake's rows as a folder of Parquet files that any tool reads: one file a table and month."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from resources.export.folder import ExportFolder
from resources.export.selection import Chosen
from resources.lake.catalog import TranscriptCatalog
from ytcaption.domain.transcripts.lake_schema import TABLES, arrow_schema


@dataclass(frozen=True)
class ParquetPart:
    """One file.

    Attributes:
        keys: values of the table's first column.
        version: changes with them and with what their transcripts are.
    """

    table: str
    month: str
    keys: Sequence[str]
    version: str

    @property
    def id(self) -> str:
        """Of its line in the index."""
        return f"{self.table}/{self.month}"


def parts(found: Sequence[Chosen]) -> list[ParquetPart]:
    """The files that all these become, by the month in which each was made."""
    made = []
    by_month = sorted(found, key=lambda one: (one.month, one.id))
    for month, group in groupby(by_month, key=lambda one: one.month):
        members = list(group)
        known = "\n".join(f"{one.id} {one.document_sha256} {one.title}" for one in members)
        version = hashlib.sha256(known.encode()).hexdigest()
        for table, columns in TABLES.items():
            is_media = columns[0].name == "media_id"
            keys = [one.media_id if is_media else one.id for one in members]
            made.append(ParquetPart(table, month, sorted(set(keys)), version))
    return made


class ParquetExport:
    """One file at a time."""

    form = "parquet"

    def __init__(self, catalog: TranscriptCatalog) -> None:
        self._catalog = catalog

    def what_is_missing(self, one: ParquetPart) -> str | None:
        """Nothing: what is chosen is in the lake."""
        return None

    def export(self, one: ParquetPart, folder: ExportFolder) -> None:
        """Its file.

        Raises:
            LakeUnavailable, DatabaseUnavailable.
            and as `ExportFolder.write`.
        """
        name = f"{one.table}/{one.month}.parquet"
        with folder.writing(name) as path:
            rows = self._write(one, path)
        folder.done(one.id, one.version, [name], rows=rows)

    def finish(self, folder: ExportFolder) -> None:
        """Nothing is made of all together."""

    def _write(self, one: ParquetPart, path: Path) -> int:
        from pyarrow import parquet

        schema, rows = arrow_schema(one.table), 0
        with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in self._catalog.rows_of(one.table, one.keys):
                writer.write_batch(batch.cast(schema))
                rows += batch.num_rows
        return rows
