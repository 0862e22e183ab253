"""Comparison of the lake with the transcript documents: missing, damaged or different rows."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from resources.lake.connection import is_damage
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
"""The contents of a transcription's rows, as `lake_rows` takes them."""
Digest = tuple[int, int]
"""Number of rows and the sum of their hashes, which can be added up over files."""

_TITLE = "case when kind <> 'upload' then title end"
"""SQL: the stored title, as far as readers use it: earlier versions stored the name that an upload
was first given, see `resources.lake.files`."""


@dataclass(frozen=True)
class LakeReport:
    """The result of `verify`.

    Attributes:
        damaged_files: paths that are missing, empty or cannot be decoded.
        different: transcriptions whose rows are missing or differ from the document.
        orphaned: transcriptions in the lake that have no document, such as erased ones.
        unreadable: transcriptions whose document is damaged, with the reason; left as they are.
        is_repaired: whether the first three have been repaired.
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
        """Return whether the lake now matches the documents."""
        problems = self.damaged_files or self.different or self.orphaned
        return not self.unreadable and (self.is_repaired or not problems)


@dataclass
class StoredRows:
    """The rows in the lake's files.

    Attributes:
        digests: by table, then by the value of its first column: transcription or media.
    """

    damaged: list[LakeFile] = field(default_factory=list)
    digests: dict[str, dict[str, Digest]] = field(
        default_factory=lambda: {table: {} for table in TABLES}
    )

    @property
    def transcriptions(self) -> set[str]:
        """Return the ids in any table."""
        return {id for table in OF_A_TRANSCRIPTION for id in self.digests[table]}

    def matches(self, document: Document, expected: dict[str, dict[str, Digest]]) -> bool:
        """Return whether the stored rows are exactly the document's."""
        transcript, source = document[:2]
        keys = dict.fromkeys(TABLES, transcript.id) | {"media": source.media_id}
        return all(
            self.digests[table].get(key) == expected[table].get(key) for table, key in keys.items()
        )


@dataclass
class Comparison:
    """The differences between documents and rows."""

    different: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


def read_stored(cursor: "DuckDBPyConnection", files: LakeFiles, *, is_local: bool) -> StoredRows:
    """Decode every row of every file.

    Raises:
        duckdb.Error: the object store does not answer, or this machine fails.
    """
    import duckdb

    stored = StoredRows()
    missing = set(missing_files(files)) if is_local else set()
    for table, table_files in files.items():
        for file in table_files:
            if missing.intersection(path for path, _ in file.parts):
                stored.damaged.append(file)
                continue
            try:
                file_digests = _digests(cursor, table, table_query(table, [file]))
            except duckdb.Error as error:
                if not _is_damage(error):
                    raise
                stored.damaged.append(file)
                continue
            digests = stored.digests[table]
            for key, (count, total) in file_digests.items():
                previous = digests.get(key, (0, 0))
                digests[key] = (previous[0] + count, previous[1] + total)
    return stored


def compare(
    cursor: "DuckDBPyConnection",
    stored: StoredRows,
    completed: Iterable[str],
    document: Callable[[str], Document | None],
) -> Comparison:
    """Compare each completed transcription, and each one in the lake, with its document.

    A transcription that is not completed yet may be in the lake already; its document counts.
    """
    comparison = Comparison()
    for id in sorted({*completed, *stored.transcriptions}):
        try:
            contents = document(id)
        except StorageError as error:
            comparison.unreadable[id] = error.message
            continue
        except ValueError:
            comparison.unreadable[id] = "The document is not a transcript of a known version."
            continue
        if contents is None:
            if id in stored.transcriptions:
                comparison.orphaned.append(id)
        elif not stored.matches(contents, _expected(cursor, contents)):
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
    values = ", ".join(_TITLE if (table, name) == ("media", "title") else name for name in names)
    rows = cursor.execute(
        f"select {names[0]}, count(*), sum(hash({values})) from ({query}) group by all"  # noqa: S608
    ).fetchall()
    return {key: (count, int(total)) for key, count, total in rows}


def _is_damage(error: Exception) -> bool:
    """Return whether a file that was being decoded is damaged, rather than unreachable.

    Wrong bytes may cause any error of decoding, but none of these, unless their text says so.
    """
    import duckdb

    others = (
        duckdb.ConnectionException,
        duckdb.FatalException,
        duckdb.InterruptException,
        duckdb.IOException,
        duckdb.OutOfMemoryException,
    )
    return is_damage(error) or not isinstance(error, others)
