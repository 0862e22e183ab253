"""The lake as a list of Parquet files, and views over them for a DuckDB without DuckLake."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from resources.disk import fsync
from resources.lake.connection import LakeConnection
from resources.lake.copy_folder import CopyRemoved
from resources.lake.storage import quoted
from ytcaption.domain.errors import LakeUnavailable
from ytcaption.domain.transcripts.lake_schema import TABLES

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class LakeFile:
    """A Parquet file of a table, with the file that lists its deleted rows, if there is one.

    Attributes:
        path: absolute, or `s3://...`; the file never changes.
        deletes_path: Parquet with the positions (`pos`) of deleted rows.
    """

    path: str
    size_bytes: int
    deletes_path: str | None = None
    deletes_size_bytes: int | None = None

    @property
    def parts(self) -> tuple[tuple[str, int], ...]:
        """Return path and size of the data file and the deletes file."""
        first = (self.path, self.size_bytes)
        if self.deletes_path is None:
            return (first,)
        return (first, (self.deletes_path, self.deletes_size_bytes or 0))


_TITLE = """case stored.kind
    when 'upload' then given.title
    when 'direct' then coalesce(given.title, stored.title)
    else coalesce(stored.title, given.title)
end"""
"""SQL: the title that a caller sees, by the same rule as `MediaRow.title`. Earlier versions stored
the name that an upload was first given."""

LakeFiles = Mapping[str, Sequence[LakeFile]]
"""The files of each table, all of one snapshot."""
Files = TypeVar("Files", bound=LakeFiles)
Result = TypeVar("Result")

_MAX_RETRIES = 4  # several erasures may follow each other while a busy machine starts a query


def list_files(lake: LakeConnection) -> dict[str, list[LakeFile]]:
    """Return the current files of each table.

    Raises:
        as `LakeConnection.cursor`.
    """
    statement = (
        "select data_file, data_file_size_bytes, delete_file, delete_file_size_bytes "
        "from ducklake_list_files('lake', $table)"
    )
    with lake.transaction() as cursor:
        return {
            table: [
                LakeFile(*row) for row in cursor.execute(statement, {"table": table}).fetchall()
            ]
            for table in TABLES
        }


def all_paths(files: LakeFiles) -> list[str]:
    """Return the paths of all data and deletes files."""
    return [path for table in files.values() for file in table for path, _ in file.parts]


def table_query(table: str, files: Sequence[LakeFile]) -> str:
    """Return a SELECT of the table's rows that are not deleted; without files, of no rows."""
    names = ", ".join(column.name for column in TABLES[table])
    whole = [file for file in files if file.deletes_path is None]
    partial = [file for file in files if file.deletes_path is not None]
    selects = []
    if whole:
        paths = _list(file.path for file in whole)
        selects.append(
            f"select {names} from read_parquet({paths}, schema => {_schema(table)}, "  # noqa: S608
            "hive_partitioning => false)"
        )
    if partial:
        pairs = ", ".join(
            f"({quoted(file.path)}, {quoted(file.deletes_path or '')})" for file in partial
        )
        paths = _list(file.path for file in partial)
        deletes = _list(file.deletes_path or "" for file in partial)
        # Not with `schema`: DuckDB 1.5 then has no row numbers.
        selects.append(
            f"select {names} from ({_no_rows(table)} union all by name "  # noqa: S608
            f"select * from read_parquet({paths}, union_by_name => true, "
            "hive_partitioning => false, filename => true, file_row_number => true)"
            ") as stored where not exists ("
            f"select 1 from read_parquet({deletes}, filename => true, hive_partitioning => false) "
            f"as deleted join (values {pairs}) as pair (stored, deleted) "
            "on pair.deleted = deleted.filename "
            "where pair.stored = stored.filename and deleted.pos = stored.file_row_number)"
        )
    return " union all ".join(selects) or _no_rows(table)


def view_statements(files: LakeFiles) -> list[str]:
    """Return a `create view` statement for each table.

    Titles that came with requests are in no file: `media` takes them from the table `given.title`.
    """
    selects = {table: table_query(table, files[table]) for table in TABLES}
    names = ", ".join(
        f"{_TITLE} as title" if column.name == "title" else f"stored.{column.name}"
        for column in TABLES["media"]
    )
    selects["media"] = (
        f"select {names} from ({selects['media']}) as stored "  # noqa: S608
        "left join given.title as given using (media_id)"
    )
    return [f"create view {table} as {select}" for table, select in selects.items()]


def missing_files(files: LakeFiles) -> list[str]:
    """Return local paths that are missing or whose size differs from the catalog's."""
    parts = [part for table in files.values() for file in table for part in file.parts]
    return [path for path, size in parts if not is_whole(Path(path), size)]


def with_current_files(list_files: Callable[[], Files], use: Callable[[Files], Result]) -> Result:
    """Return `use(files)`; repeat it if files were removed meanwhile, as by erasing and merging.

    Raises:
        LakeUnavailable: a file is missing or damaged that the lake has.
    """
    files = list_files()
    for _ in range(_MAX_RETRIES):
        try:
            return use(files)
        except LakeUnavailable as error:
            missing = set(missing_files(files))
            files_before, files = files, list_files()
            has_changed = files != files_before or isinstance(error, CopyRemoved)
            if not has_changed and (not missing or missing.intersection(missing_files(files))):
                raise
    return use(files)


def latest_snapshot(connection: "psycopg.Connection[dict]") -> int:
    """Return the number of the last commit to the lake."""
    row = connection.execute("select max(snapshot_id) as id from lake.ducklake_snapshot").fetchone()
    return row["id"] if row else 0


def fsync_new_files(
    lake: LakeConnection, connection: "psycopg.Connection[dict]", since_snapshot: int
) -> None:
    """Make local files written since that snapshot survive a power failure.

    DuckDB does not call fsync, and one emptied file fails every query of its table. After a power
    failure between DuckLake's commit and this call, `lake verify --repair` is needed.
    """
    folders = set()
    rows = connection.execute(
        "select t.table_name, f.path from ("
        "select table_id, path, begin_snapshot from lake.ducklake_data_file union all "
        "select table_id, path, begin_snapshot from lake.ducklake_delete_file"
        ") f join lake.ducklake_table t using (table_id) where f.begin_snapshot > %s",
        (since_snapshot,),
    ).fetchall()
    for row in rows:
        path = Path(lake.storage.data_path) / "main" / row["table_name"] / row["path"]
        fsync(path)
        folders.add(path.parent)
    for folder in folders:
        fsync(folder)


def _no_rows(table: str) -> str:
    typed = ", ".join(f"cast(null as {column.type}) as {column.name}" for column in TABLES[table])
    return f"select {typed} where false"


def _schema(table: str) -> str:
    """Return the schema argument; in files older than a column its values are null."""
    columns = ", ".join(
        f"{quoted(column.name)}: {{name: {quoted(column.name)}, type: {quoted(column.type)}, "
        "default_value: null}"
        for column in TABLES[table]
    )
    return f"map {{{columns}}}"


def _list(paths: Iterable[str]) -> str:
    return f"[{', '.join(quoted(path) for path in paths)}]"


def is_whole(path: Path, size_bytes: int) -> bool:
    """Return whether the file exists with that size."""
    try:
        return path.stat().st_size == size_bytes
    except FileNotFoundError:
        return False
