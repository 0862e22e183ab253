"""Restoring a backup: files first, then the databases that refer to them.

An interrupted restore is started again by the same command. Nothing else may use the installation
meanwhile.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from resources.backup.create import Progress
from resources.backup.dump import restore_dump
from resources.backup.manifest import (
    DATABASES,
    KEY,
    OBJECTS,
    PARALLEL_FILES,
    Manifest,
    blocks_of,
    check_files,
    write_blocks,
)
from resources.lake.catalog import TranscriptCatalog
from resources.lake.documents import stored_document
from resources.lake.verify import LakeReport
from resources.object_store.store import ObjectStore
from resources.postgres.connection import Postgres, close_pools, database_errors
from resources.postgres.migrate import migrate, migrations
from resources.postgres.urls import ROLES, database_urls, libpq_url
from resources.transcriptions.reads import completed_ids, status_counts
from ytcaption.domain.errors import SetupError
from ytcaption.settings.settings import Settings

MARKER = "restoring.json"
"""File in the home while a restore has begun and not ended."""

_PREFIXES = ("audio", "transcripts", "lake")


@dataclass(frozen=True)
class RestoreResult:
    """The result of a restore.

    Attributes:
        transcriptions: their number.
        lake: its comparison with the documents; differences have been rebuilt.
    """

    manifest: Manifest
    transcriptions: int
    lake: LakeReport


def restore_backup(
    settings: Settings, folder: Path, progress: Progress, *, replace: bool
) -> RestoreResult:
    """Make the installation what the backup contains. Postgres must run.

    Args:
        replace: also if the installation is not empty; its contents are lost.

    Raises:
        InputError: the folder is not a backup.
        StorageError: a file is damaged (then nothing was changed), or a step failed: repeat it.
        SetupError: the installation is not empty, or the backup is of a later version.
    """
    manifest = Manifest.read(folder)
    if manifest.migration > migrations()[-1].number:
        raise SetupError(
            f"The backup was made by ytcaption {manifest.version}, which is later than this one. "
            "Update ytcaption to restore it."
        )
    progress.step("Checking the backup", manifest.size_bytes)
    check_files(folder, manifest, progress.advance)
    migrate(settings)
    with _marker(settings, manifest, replace=replace):
        objects = ObjectStore.from_settings(settings)
        _restore_objects(objects, folder, manifest, progress)
        progress.step("Restoring the databases")
        _restore_databases(settings, folder / DATABASES, manifest)
        if KEY in manifest.files and settings.operation.webhook_key is None:
            write_blocks(settings.home / KEY, blocks_of(folder / KEY))
            (settings.home / KEY).chmod(0o600)
        progress.step("Removing files that are not in the backup")
        kept = set(manifest.keys)
        for key in [key for prefix in _PREFIXES for key in objects.list(prefix)]:
            if key not in kept:
                objects.delete(key)
        progress.step("Comparing the lake with the documents")
        postgres = Postgres.from_settings(settings, "dagster")
        report = TranscriptCatalog.from_settings(settings).verify(
            partial(completed_ids, postgres),
            partial(stored_document, postgres, objects),
            repair=True,
        )
    return RestoreResult(manifest, sum(status_counts(postgres).values()), report)


@contextmanager
def _marker(settings: Settings, manifest: Manifest, *, replace: bool) -> Iterator[None]:
    """While the context lasts, keep a marker in the home, so that the restore may be repeated.

    Raises:
        SetupError: the installation is not empty.
    """
    marker = settings.home / MARKER
    begun = marker.exists() and json.loads(marker.read_text())["made_at"] == manifest.made_at
    if not (replace or begun) and (contents := _contents(settings)):
        raise SetupError(
            f"This installation is not empty: it contains {contents}. Restore into another "
            "YTCAPTION_HOME or database, or use --replace, which deletes the present contents."
        )
    marker.write_text(json.dumps({"made_at": manifest.made_at}))
    yield
    marker.unlink()


def _contents(settings: Settings) -> str | None:
    """Return what the installation contains, in words; None if it is empty."""
    admin = Postgres.from_settings(settings, "admin")
    for table, contents in (
        ("media", "media"),
        ("api_key", "API keys"),
        ("webhook", "webhooks"),
        ("event", "events"),
    ):
        with admin.transaction() as connection:
            query = sql.SQL("select 1 from ytcaption.{} limit 1").format(sql.Identifier(table))
            if connection.execute(query).fetchone():
                return contents
    objects = ObjectStore.from_settings(settings)
    if any(True for prefix in _PREFIXES for _ in objects.list(prefix)):
        return "stored files"
    return None


def _restore_objects(
    objects: ObjectStore, folder: Path, manifest: Manifest, progress: Progress
) -> None:
    files = {key: manifest.files[f"{OBJECTS}/{key}"] for key in manifest.keys}
    progress.step(
        f"Restoring {len(files):,} files", sum(file.size_bytes for file in files.values())
    )

    def put(key: str) -> None:
        objects.write_file(key, folder / OBJECTS / key)
        progress.advance(files[key].size_bytes)

    with ThreadPoolExecutor(PARALLEL_FILES) as pool:
        for _ in pool.map(put, files):
            pass


def _restore_databases(settings: Settings, dumps: Path, manifest: Manifest) -> None:
    urls = database_urls(settings)
    close_pools(urls)
    # Dagster's first: runs without transcriptions do no harm, transcriptions without runs are lost.
    dagster = libpq_url(urls.dagster_storage)
    with database_errors(), psycopg.connect(dagster, autocommit=True) as connection:
        connection.execute("create schema if not exists public")
    restore_dump(dagster, dumps / "dagster.dump", schema="public", clean=True)
    lake_apart = f"{DATABASES}/lake.dump" in manifest.files
    lake_dump = dumps / ("lake.dump" if lake_apart else "ytcaption.dump")
    lake_role = None
    with database_errors(), psycopg.connect(urls.lake, autocommit=True) as connection:
        owner = connection.execute(
            "select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'lake'"
        ).fetchone()
        if owner is not None and owner[0] == ROLES["lake"]:
            lake_role = ROLES["lake"]
    with database_errors(), psycopg.connect(urls.admin, autocommit=True) as connection:
        connection.execute("drop schema if exists ytcaption cascade")
        connection.execute("create schema ytcaption")
    restore_dump(urls.admin, dumps / "ytcaption.dump", schema="ytcaption")
    _empty_lake(urls.lake)
    restore_dump(urls.lake, lake_dump, schema="lake", role=lake_role)
    with database_errors(), psycopg.connect(urls.admin, autocommit=True) as connection:
        # The dump has no grants: the migrations grant them again.
        connection.execute("delete from ytcaption.migration where number = 0")
    migrate(settings)


def _empty_lake(url: str) -> None:
    """Drop the lake's tables; the schema stays, with its owner."""
    with database_errors(), psycopg.connect(url, autocommit=True) as connection:
        tables = connection.execute(
            "select tablename from pg_tables where schemaname = 'lake'"
        ).fetchall()
        for (table,) in tables:
            connection.execute(
                sql.SQL("drop table if exists lake.{} cascade").format(sql.Identifier(table))
            )
