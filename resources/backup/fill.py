"""Filling the new databases of a restore from the dumps, and comparing them with the manifest."""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from psycopg import Connection, sql
from psycopg.rows import DictRow

from resources.backup.archive import Archive, Rows
from resources.backup.databases import StagedDatabases
from resources.backup.dump import connected, lake_file_names, object_hashes
from resources.backup.folder import BackupFolder
from resources.backup.lake_catalog import catalog_problem, catalog_version
from resources.backup.load import SchemaLoader, Unloadable, loading
from resources.backup.manifest import DATABASES
from resources.lake.connection import LakeConnection
from resources.orchestration.storage import create_dagster_tables
from resources.postgres.migrate import migrate_databases, migrations
from resources.postgres.urls import libpq_url
from ytcaption.domain.errors import InputError, SetupError

_MANY = 3
"""Number of names that a message lists."""


@dataclass
class Filled:
    """What the new databases hold.

    Attributes:
        objects: key -> SHA-256 of audio, documents and uploads; None if unknown.
        lake_files: names of the files of the lake's catalog.
        lake_problem: why the lake's catalog was left out; None if it was loaded.
        ignored: tables of Dagster's database that are not Dagster's.
    """

    objects: dict[str, str | None] = field(default_factory=dict)
    lake_files: frozenset[str] = frozenset()
    lake_problem: str | None = None
    ignored: set[str] = field(default_factory=set)


def archives(backup: BackupFolder) -> dict[str, Archive]:
    """Return the backup's dumps by name, after comparing their lists with what they may hold.

    Raises:
        InputError: one holds other objects.
        StorageError, SetupError: it cannot be read.
    """
    found = {
        name: Archive(
            backup.dump_path(name),
            backup.manifest.files[f"{DATABASES}/{name}"],
            backup.manifest.postgres_major,
        )
        for name in ("ytcaption.dump", "dagster.dump", "lake.dump")
        if backup.has_dump(name)
    }
    found["ytcaption.dump"].check_contents(["ytcaption", "lake"])
    if "lake.dump" in found:
        found["lake.dump"].check_contents(["lake"])
    # Dagster's database may be shared with others. Of its dump only rows of Dagster's tables are
    # ever used.
    return found


def fill_databases(
    databases: StagedDatabases, backup: BackupFolder, dumps: dict[str, Archive]
) -> Filled:
    """Create the new databases, load the dumps, and bring the schema up to date.

    Raises:
        InputError: a dump holds other than rows of ytcaption's tables, or rows that contradict
            each other or the manifest.
        SetupError: a table or the rights on the server are missing.
        StorageError, DatabaseUnavailable, DiskFull.
    """
    filled = Filled()
    rows = _fill_ours(databases, backup, dumps, filled)
    rows |= _fill_dagster(databases, dumps["dagster.dump"], filled)
    _compare_rows(backup, rows, filled)
    migrate_databases(databases.urls, databases.layout)
    with connected(databases.urls.admin) as connection:
        filled.objects = object_hashes(connection)
    if filled.lake_problem is None:
        with connected(databases.urls.lake) as connection:
            filled.lake_files = lake_file_names(connection)
    _compare_objects(backup, filled)
    return filled


def _fill_ours(
    databases: StagedDatabases, backup: BackupFolder, dumps: dict[str, Archive], filled: Filled
) -> dict[str, int]:
    """Load the schemas `ytcaption` and `lake`; return the number of rows by table.

    The schema is first that of the backup's version. Where its tables were those of another number,
    as in a backup made between two releases, later ones are tried.
    """
    latest = migrations()[-1].number
    numbers = range(min(max(backup.manifest.migration, 1), latest), latest + 1)
    mismatch = ""
    for number in numbers:
        databases.create()
        migrate_databases(databases.urls, databases.layout, last=number)
        filled.lake_problem = None
        try:
            return _load_ours(databases, dumps, filled)
        except Unloadable as error:
            mismatch = str(error)
    raise InputError(
        f"The backup holds {mismatch!a:.200}, which is not of a table that ytcaption has or had. "
        "Nothing was restored. Use another backup."
    )


def _load_ours(
    databases: StagedDatabases, dumps: dict[str, Archive], filled: Filled
) -> dict[str, int]:
    version = _create_catalog(databases)
    rows: dict[str, int] = {}
    with ExitStack() as stack:
        loaders = {
            "ytcaption": stack.enter_context(
                loading(databases.urls.admin, "ytcaption", left_out=["migration"])
            ),
            "lake": stack.enter_context(loading(databases.urls.lake, "lake")),
        }
        for name in ("ytcaption.dump", "lake.dump"):
            if name in dumps:
                _load(dumps[name], loaders, filled)
        for loader in loaders.values():
            rows |= loader.rows
    with connected(databases.urls.lake) as connection:
        has_catalog = any(loaders["lake"].rows.values())
        if has_catalog and filled.lake_problem is None:
            filled.lake_problem = catalog_problem(connection, version)
        if not has_catalog or filled.lake_problem is not None:
            _empty_catalog(connection)
    return rows


def _load(dump: Archive, loaders: dict[str, SchemaLoader], filled: Filled) -> None:
    with dump.parts() as parts:
        for part in parts:
            loader = loaders.get(part.schema)
            if loader is None:
                raise Unloadable(f"{part.schema}.{part.table if isinstance(part, Rows) else ''}")
            if part.schema != "lake":
                loader.load(part)
            elif filled.lake_problem is None:
                try:
                    loader.load(part)
                except Unloadable as error:
                    filled.lake_problem = f"its table {error} is of another version of DuckLake"


def _fill_dagster(databases: StagedDatabases, dump: Archive, filled: Filled) -> dict[str, int]:
    url = libpq_url(databases.urls.dagster_storage)
    create_dagster_tables(databases.urls.dagster_storage)
    # Which of Dagster's migrations have run is what the installed Dagster says of its new tables.
    with (
        loading(url, "public", left_out=["alembic_version"], is_lenient=True) as loader,
        dump.parts() as parts,
    ):
        for part in parts:
            if part.schema != "public":
                filled.ignored.add(part.schema)
                continue
            try:
                loader.load(part)
            except Unloadable as error:
                raise SetupError(
                    f"The backup was made with another version of Dagster, whose table {error} "
                    "has columns that this one's does not have. Restore with the ytcaption that "
                    "made the backup."
                ) from error
    filled.ignored |= loader.ignored
    return loader.rows


def _create_catalog(databases: StagedDatabases) -> str | None:
    """Create the tables of the lake's catalog; return the version of their format."""
    lake = LakeConnection(databases.settings)
    try:
        with lake.cursor():
            pass
    finally:
        lake.close()
    with connected(databases.urls.lake) as connection:
        return catalog_version(connection)


def _empty_catalog(connection: Connection[DictRow]) -> None:
    """Drop the catalog's tables; the schema stays, with its owner. The next use makes new ones."""
    tables = connection.execute(
        "select tablename from pg_tables where schemaname = 'lake'"
    ).fetchall()
    for row in tables:
        name = sql.Identifier("lake", row["tablename"])
        connection.execute(sql.SQL("drop table if exists {} cascade").format(name))


def _compare_rows(backup: BackupFolder, rows: dict[str, int], filled: Filled) -> None:
    """Compare the numbers of rows with the manifest's, which earlier versions did not write."""
    different = [
        name
        for name, count in backup.manifest.rows.items()
        if rows.get(name, 0) != count
        and name.partition(".")[2] not in {"migration", "alembic_version", *filled.ignored}
        and not (name.startswith("lake.") and filled.lake_problem is not None)
    ]
    if different:
        raise InputError(
            f"The dumps of the backup do not have the rows that its manifest states, for "
            f"{_listed(different)}. Nothing was restored. Use another backup."
        )


def _compare_objects(backup: BackupFolder, filled: Filled) -> None:
    """Check that the backup has every file that its databases name."""
    manifest = backup.manifest
    missing = [
        key
        for key, sha256 in filled.objects.items()
        if key not in manifest.wrong and not _has(backup, key, sha256)
    ]
    names = {key.rpartition("/")[2] for key in manifest.keys if key.startswith("lake/")}
    wrong = {key.rpartition("/")[2] for key in manifest.wrong}
    missing += sorted(filled.lake_files - names - wrong)
    if missing:
        raise InputError(
            f"The backup does not have the files that its databases name: {_listed(missing)}. "
            "Nothing was restored. Use another backup."
        )


def _has(backup: BackupFolder, key: str, sha256: str | None) -> bool:
    file = backup.manifest.files.get(f"objects/{key}")
    return file is not None and sha256 in (None, file.sha256)


def _listed(names: Iterable[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - _MANY:,} more" if len(names) > _MANY else ""
    return ", ".join(names[:_MANY]) + more
