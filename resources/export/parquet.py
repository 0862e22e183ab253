"""The lake's rows as Parquet files for any tool: one file per table and month."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from resources.export.folder import ExportFolder
from resources.export.selection import SelectedTranscription
from resources.lake.catalog import TranscriptCatalog
from ytcaption.domain.transcripts.lake_schema import TABLES, arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class ParquetPart:
    """One file.

    Attributes:
        keys: values of the table's first column.
        version: changes with the transcriptions in the file.
        titles: of the media in the file, as `ytcaption` shows them.
    """

    table: str
    month: str
    keys: Sequence[str]
    version: str
    titles: Mapping[str, str | None]

    @property
    def id(self) -> str:
        """Return the id of its line in the index."""
        return f"{self.table}/{self.month}"


def parts(selected: Sequence[SelectedTranscription]) -> list[ParquetPart]:
    """Return the files for these transcriptions, by table and month of creation."""
    parts = []
    by_month = sorted(selected, key=lambda item: (item.month, item.id))
    for month, group in groupby(by_month, key=lambda item: item.month):
        members = list(group)
        known = "\n".join(f"{item.id} {item.document_sha256} {item.title}" for item in members)
        titles = {item.media_id: item.title for item in members}
        version = hashlib.sha256(known.encode()).hexdigest()
        for table, columns in TABLES.items():
            is_media = columns[0].name == "media_id"
            keys = [item.media_id if is_media else item.id for item in members]
            parts.append(ParquetPart(table, month, sorted(set(keys)), version, titles))
    return parts


class ParquetExport:
    """Exports one file at a time."""

    form = "parquet"

    def __init__(self, catalog: TranscriptCatalog) -> None:
        self._catalog = catalog

    def missing_requirement(self, part: ParquetPart) -> str | None:
        """Return why it cannot be exported; selected rows always can."""
        return None

    def export(self, part: ParquetPart, folder: ExportFolder) -> None:
        """Write the file.

        Raises:
            LakeUnavailable, DatabaseUnavailable.
            and as `ExportFolder.write`.
        """
        name = f"{part.table}/{part.month}.parquet"
        with folder.writing(name) as path:
            rows = self._write(part, path)
        folder.add(part.id, part.version, [name], rows=rows)

    def finish(self, folder: ExportFolder) -> None:
        """Do nothing: there is no common file."""

    def _write(self, part: ParquetPart, path: Path) -> int:
        from pyarrow import parquet

        schema, rows = arrow_schema(part.table), 0
        with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in self._catalog.rows_of(part.table, part.keys):
                if part.table == "media":
                    batch = _with_titles(batch, part.titles)
                writer.write_batch(batch.cast(schema))
                rows += batch.num_rows
        return rows


def _with_titles(batch: "pa.RecordBatch", titles: Mapping[str, str | None]) -> "pa.RecordBatch":
    """Return the rows of `media` with these titles: those that came with requests are not in the
    lake."""
    import pyarrow as pa

    shown = [titles.get(id) for id in batch.column("media_id").to_pylist()]
    return batch.set_column(
        batch.schema.get_field_index("title"), "title", pa.array(shown, pa.string())
    )
