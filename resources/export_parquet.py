"""The lake's rows as a folder of Parquet files that any tool reads: one file a table and month."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from resources.export_folder import ExportFolder
from resources.export_selection import Chosen
from ytcaption_assets.domain.parquet_schema import TABLES

if TYPE_CHECKING:
    import pyarrow as pa

FORM = "parquet"

ReadRows = Callable[[str, Sequence[str]], "Iterator[pa.RecordBatch]"]
"""Table, keys -> its rows; `TranscriptCatalog.rows_of`."""


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


def export_part(part: ParquetPart, folder: ExportFolder, read: ReadRows) -> None:
    """Its file.

    Raises:
        LakeUnavailable, DatabaseUnavailable.
        and as `ExportFolder.write`.
    """
    name = f"{part.table}/{part.month}.parquet"
    with folder.writing(name) as path:
        rows = _write(part, path, read)
    folder.done(part.id, part.version, [name], rows=rows)


def _write(part: ParquetPart, path: Path, read: ReadRows) -> int:
    from pyarrow import parquet

    from ytcaption_assets.domain.parquet_schema import arrow_schema

    schema, rows = arrow_schema(part.table), 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in read(part.table, part.keys):
            writer.write_batch(batch.cast(schema))
            rows += batch.num_rows
    return rows
