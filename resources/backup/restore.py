"""A backup becomes an installation again: files first, then the databases that speak of them.

One that is cut short is begun again by the same command; nobody may work on the installation
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

from resources.backup.create import OnStep
from resources.backup.dump import restore_dump
from resources.backup.manifest import (
    AT_ONCE,
    DATABASES,
    KEY,
    OBJECTS,
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
from ytcaption.settings import Settings

MARK = "restoring.json"
"""In the home while a restore has begun and not ended."""

_PREFIXES = ("audio", "transcripts", "lake")


@dataclass(frozen=True)
class Restored:
    """What was brought back.

    Attributes:
        transcriptions: how many there are.
        lake: against the documents; what differed has been rebuilt.
    """

    manifest: Manifest
    transcriptions: int
    lake: LakeReport


def restore_backup(settings: Settings, folder: Path, told: OnStep, *, replace: bool) -> Restored:
    """Make the installation what the backup holds. Postgres must run.

    Args:
        replace: even if the installation holds something; it is gone then.

    Raises:
        InputError: that is no backup.
        StorageError: a file of it is damaged (nothing was touched), or something failed: repeat it.
        SetupError: the installation holds something, or the backup is of a later version.
    """
    manifest = Manifest.read(folder)
    if manifest.migration > migrations()[-1].number:
        raise SetupError(
            f"The backup was made by ytcaption {manifest.version}, which is later than this one. "
            "Update ytcaption to restore it."
        )
    told.step("Checking the backup", manifest.size_bytes)
    check_files(folder, manifest, told.advance)
    migrate(settings)
    with _marked(settings, manifest, replace=replace):
        objects = ObjectStore.from_settings(settings)
        _restore_objects(objects, folder, manifest, told)
        told.step("Restoring the databases")
        _restore_databases(settings, folder / DATABASES, manifest)
        if KEY in manifest.files and settings.webhook_key is None:
            write_blocks(settings.home / KEY, blocks_of(folder / KEY))
            (settings.home / KEY).chmod(0o600)
        told.step("Removing what the backup has not")
        kept = set(manifest.keys)
        for key in [key for prefix in _PREFIXES for key in objects.list(prefix)]:
            if key not in kept:
                objects.delete(key)
        told.step("Comparing the lake with the documents")
        postgres = Postgres.from_settings(settings, "dagster")
        report = TranscriptCatalog.from_settings(settings).verify(
            partial(completed_ids, postgres),
            partial(stored_document, postgres, objects),
            repair=True,
        )
    return Restored(manifest, sum(status_counts(postgres).values()), report)


@contextmanager
def _marked(settings: Settings, manifest: Manifest, *, replace: bool) -> Iterator[None]:
    """While this lasts the home says what is being restored, so that it may be begun again.

    Raises:
        SetupError: the installation holds something else.
    """
    mark = settings.home / MARK
    begun = mark.exists() and json.loads(mark.read_text())["made_at"] == manifest.made_at
    if not (replace or begun) and (what := _holding(settings)):
        raise SetupError(
            f"This installation is not empty: it holds {what}. Restore into another YTCAPTION_HOME "
            "or database, or say --replace: what is here is gone then."
        )
    mark.write_text(json.dumps({"made_at": manifest.made_at}))
    yield
    mark.unlink()


def _holding(settings: Settings) -> str | None:
    """What there is, in words; None where there is nothing."""
    admin = Postgres.from_settings(settings, "admin")
    for table, what in (
        ("media", "media"),
        ("api_key", "API keys"),
        ("webhook", "webhooks"),
        ("event", "events"),
    ):
        with admin.transaction() as connection:
            query = sql.SQL("select 1 from ytcaption.{} limit 1").format(sql.Identifier(table))
            if connection.execute(query).fetchone():
                return what
    objects = ObjectStore.from_settings(settings)
    if any(True for prefix in _PREFIXES for _ in objects.list(prefix)):
        return "stored files"
    return None


def _restore_objects(objects: ObjectStore, folder: Path, manifest: Manifest, told: OnStep) -> None:
    files = {key: manifest.files[f"{OBJECTS}/{key}"] for key in manifest.keys}
    told.step(f"Restoring {len(files):,} files", sum(file.size_bytes for file in files.values()))

    def put(key: str) -> None:
        objects.write_file(key, folder / OBJECTS / key)
        told.advance(files[key].size_bytes)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(put, files):
            pass


def _restore_databases(settings: Settings, dumps: Path, manifest: Manifest) -> None:
    urls = database_urls(settings)
    close_pools(urls)
    # Dagster's first: runs without a transcription are nothing, the other way round they are lost.
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
        # Grants are no part of the dump: they are given anew.
        connection.execute("delete from ytcaption.migration where number = 0")
    migrate(settings)


def _empty_lake(url: str) -> None:
    """The schema stays, with its owner."""
    with database_errors(), psycopg.connect(url, autocommit=True) as connection:
        tables = connection.execute(
            "select tablename from pg_tables where schemaname = 'lake'"
        ).fetchall()
        for (table,) in tables:
            connection.execute(
                sql.SQL("drop table if exists lake.{} cascade").format(sql.Identifier(table))
            )
