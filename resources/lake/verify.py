"""The lake against the transcript documents: what is missing, damaged or different."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from resources.lake.files import LakeFile, LakeFiles, missing_files, table_query
from ytcaption.domain.errors import StorageError
from ytcaption.domain.media.media import MediaInfo, MediaSource
from ytcaption.domain.transcripts.accuracy import CaptionAccuracy
from ytcaption.domain.transcripts.lake_rows import lake_rows
from ytcaption.domain.transcripts.lake_schema import OF_A_TRANSCRIPTION, TABLES
from ytcaption.domain.transcripts.timings import Timings
from ytcaption.domain.transcripts.transcript import Transcript

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Document = tuple[Transcript, MediaSource, MediaInfo, Timings, CaptionAccuracy | None]
"""What a transcription's rows are made of, as `lake_rows` takes it."""
Digest = tuple[int, int]
"""Number of rows and the sum of their hashes, which adds up over files."""


@dataclass(frozen=True)
class LakeReport:
    """What `verify` found.

    Attributes:
        damaged_files: paths that are missing, emptied or cannot be decoded.
        different: transcriptions whose rows are missing or are not what the document says.
        orphaned: transcriptions in the lake that have no document, erased ones for instance.
        unreadable: transcriptions whose document is damaged, with the reason; left as they are.
        is_repaired: whether the first three have been put right.
    """

    file_count: int
    transcription_count: int
    damaged_files: tuple[str, ...]
    different: tuple[str, ...]
    orphaned: tuple[str, ...]
    unreadable: dict[str, str]
    is_repaired: bool

    @property
    def is_sound(self) -> bool:
        """Whether the lake is now what the documents say."""
        found = self.damaged_files or self.different or self.orphaned
        return not self.unreadable and (self.is_repaired or not found)


@dataclass
class StoredRows:
    """What the lake's files hold.

    Attributes:
        digests: by table, then by the value of its first column: transcription or media.
    """

    damaged: list[LakeFile] = field(default_factory=list)
    digests: dict[str, dict[str, Digest]] = field(
        default_factory=lambda: {table: {} for table in TABLES}
    )

    @property
    def transcriptions(self) -> set[str]:
        """All ids in any table."""
        return {id for table in OF_A_TRANSCRIPTION for id in self.digests[table]}

    def is_as(self, document: Document, expected: dict[str, dict[str, Digest]]) -> bool:
        """Whether these are the document's rows, no fewer and no more."""
        transcript, source = document[:2]
        keys = dict.fromkeys(TABLES, transcript.id) | {"media": source.media_id}
        return all(
            self.digests[table].get(key) == expected[table].get(key) for table, key in keys.items()
        )


@dataclass
class Comparison:
    """Documents and rows side by side."""

    different: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


def read_stored(cursor: "DuckDBPyConnection", files: LakeFiles, *, is_local: bool) -> StoredRows:
    """Every row of every file, decoded.

    Raises:
        duckdb.Error: the object store does not answer, or this machine fails.
    """
    import duckdb

    stored = StoredRows()
    gone = set(missing_files(files)) if is_local else set()
    for table, listed in files.items():
        for file in listed:
            if gone.intersection(path for path, _ in file.parts):
                stored.damaged.append(file)
                continue
            try:
                found = _digests(cursor, table, table_query(table, [file]))
            except duckdb.Error as error:
                if not _is_damage(error):
                    raise
                stored.damaged.append(file)
                continue
            digests = stored.digests[table]
            for key, (count, total) in found.items():
                before = digests.get(key, (0, 0))
                digests[key] = (before[0] + count, before[1] + total)
    return stored


def compare(
    cursor: "DuckDBPyConnection",
    stored: StoredRows,
    completed: Iterable[str],
    document: Callable[[str], Document | None],
) -> Comparison:
    """Each completed transcription, and each that the lake has, against its document.

    One that is not completed yet may be in the lake already: it counts by its document.
    """
    comparison = Comparison()
    for id in sorted({*completed, *stored.transcriptions}):
        try:
            found = document(id)
        except StorageError as error:
            comparison.unreadable[id] = error.message
            continue
        except ValueError:
            comparison.unreadable[id] = "The document is no transcript of a version that is known."
            continue
        if found is None:
            if id in stored.transcriptions:
                comparison.orphaned.append(id)
        elif not stored.is_as(found, _expected(cursor, found)):
            comparison.different.append(id)
    return comparison


def _expected(cursor: "DuckDBPyConnection", document: Document) -> dict[str, dict[str, Digest]]:
    expected = {}
    for table, rows in lake_rows(*document).items():
        cursor.register("expected_rows", rows)
        expected[table] = _digests(cursor, table, "select * from expected_rows")
        cursor.unregister("expected_rows")
    return expected


def _digests(cursor: "DuckDBPyConnection", table: str, query: str) -> dict[str, Digest]:
    names = [column.name for column in TABLES[table]]
    rows = cursor.execute(
        f"select {names[0]}, count(*), sum(hash({', '.join(names)})) from ({query}) group by all"  # noqa: S608
    ).fetchall()
    return {key: (count, int(total)) for key, count, total in rows}


def _is_damage(error: Exception) -> bool:
    """Whether the file is to blame, not the way to it."""
    import duckdb

    if isinstance(error, duckdb.HTTPException):
        return "404" in str(error)
    if isinstance(error, duckdb.IOException):
        return any(mark in str(error) for mark in ("No such file", "No files found"))
    return not isinstance(error, duckdb.OutOfMemoryException)
