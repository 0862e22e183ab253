"""Maintenance of the lake's files as a whole: delete, purge, merge, forget damaged ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.lake.connection import LakeConnection
from ytcaption.domain.transcripts.lake_schema import OF_A_TRANSCRIPTION

if TYPE_CHECKING:
    import psycopg
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class CompactionResult:
    """File counts and sizes before and after.

    Attributes:
        snapshots_expired: earlier states that can no longer be read.
    """

    files_before: int
    bytes_before: int
    files_after: int
    bytes_after: int
    snapshots_expired: int


def snapshot_count(connection: "psycopg.Connection[dict]") -> int:
    """Return the number of readable snapshots."""
    row = connection.execute("select count(*) as count from lake.ducklake_snapshot").fetchone()
    return row["count"] if row else 0


def delete_rows(cursor: "DuckDBPyConnection", ids: Sequence[str]) -> None:
    """Delete transcriptions, and media of which no other transcription is left."""
    media_ids = [media_id_of(id) for id in ids]
    for table in OF_A_TRANSCRIPTION:
        cursor.execute(
            f"delete from lake.main.{table} where transcription_id in $ids",  # noqa: S608
            {"ids": ids},
        )
    cursor.execute(
        "delete from lake.main.media where media_id in $media_ids and media_id not in "
        "(select media_id from lake.main.transcripts)",
        {"media_ids": media_ids},
    )


def media_id_of(id: str) -> str:
    """Return the media's id, the first part of a transcription's id."""
    return id.partition(".")[0]


def purge_deleted(lake: LakeConnection, connection: "psycopg.Connection[dict]") -> None:
    """Remove every byte of deleted rows: from files, earlier snapshots and statistics.

    The whole lake must be locked: files of no snapshot, such as a killed writer's, are removed too.
    """
    with lake.cursor() as cursor:
        cursor.execute("call ducklake_rewrite_data_files('lake', delete_threshold => 0)")
        cursor.execute("call ducklake_expire_snapshots('lake', older_than => now())")
        cursor.execute("call ducklake_cleanup_old_files('lake', cleanup_all => true)")
        cursor.execute("call ducklake_delete_orphaned_files('lake', cleanup_all => true)")
    _recompute_statistics(connection)


def merge_files(lake: LakeConnection) -> None:
    """Merge the one small file per transcription into a few large ones, which open faster."""
    with lake.cursor() as cursor:
        cursor.execute("call ducklake_rewrite_data_files('lake', delete_threshold => 0)")
        cursor.execute("call ducklake_merge_adjacent_files('lake')")


def forget_files(connection: "psycopg.Connection[dict]", paths: Iterable[str]) -> None:
    """Remove damaged data files from the catalog.

    DuckLake itself can only delete rows that it can read. The tables are those of the DuckLake
    specification 1.0 (ducklake.select/docs/stable/specification/tables/overview).
    """
    names = [path.rpartition("/")[2] for path in paths]
    with connection.transaction():
        rows = connection.execute(
            "select data_file_id from lake.ducklake_data_file where path = any(%s)",
            (names,),
        ).fetchall()
        ids = [row["data_file_id"] for row in rows]
        for table in (
            "delete_file",
            "file_column_stats",
            "file_partition_value",
            "file_variant_stats",
            "data_file",
        ):
            connection.execute(
                f"delete from lake.ducklake_{table} where data_file_id = any(%s)",  # noqa: S608
                (ids,),
            )


_RECOMPUTE = """
    with live as (
        select f.table_id, f.column_id,
               min(f.min_value collate "C") as min_value, max(f.max_value collate "C") as max_value
        from lake.ducklake_file_column_stats f
        join lake.ducklake_data_file d using (data_file_id)
        where d.end_snapshot is null
        group by f.table_id, f.column_id
    )
    update lake.ducklake_table_column_stats s
    set min_value = (select l.min_value from live l
                     where l.table_id = s.table_id and l.column_id = s.column_id),
        max_value = (select l.max_value from live l
                     where l.table_id = s.table_id and l.column_id = s.column_id)
    from lake.ducklake_column c
    where c.table_id = s.table_id and c.column_id = s.column_id
      and c.end_snapshot is null and c.column_type = 'varchar'
"""


def _recompute_statistics(connection: "psycopg.Connection[dict]") -> None:
    """Set each text column's minimum and maximum from the files that exist.

    DuckLake only ever widens them, so a deleted title could stay in the catalog as a maximum. Each
    process also caches them by the number of the next file: skipping one number makes the caches
    invalid, or a writer would restore the old values.
    """
    with connection.transaction():
        connection.execute(
            "update lake.ducklake_snapshot set next_file_id = next_file_id + 1 "
            "where snapshot_id = (select max(snapshot_id) from lake.ducklake_snapshot)"
        )
        connection.execute(_RECOMPUTE)
