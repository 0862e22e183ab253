"""Local copies of an S3 lake's files, because query processes have no network."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from resources.lake.connection import DAMAGED
from resources.lake.files import LakeFile, LakeFiles, all_paths, is_whole
from resources.object_store.s3 import S3Store
from ytcaption.domain.errors import (
    DiskFull,
    LakeUnavailable,
    ObjectNotFound,
    ObjectStoreUnavailable,
)
from ytcaption.settings.settings import Settings

_PARALLEL_FETCHES = 8
_MAX_FETCH_S = 86_400.0


class LakeFileCache:
    """A folder of copies, named as DuckLake named the files, by UUIDs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.home / "cache" / "lake"

    def local_copies(self, files: LakeFiles) -> dict[str, list[LakeFile]]:
        """Return the same files with local paths; fetch new files, remove copies no longer listed.

        Raises:
            LakeUnavailable: S3 does not deliver a file. SetupError: it refuses. DiskFull.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        parts = [part for table in files.values() for file in table for part in file.parts]
        self._fetch(
            [(path, size) for path, size in parts if not is_whole(self._copy_path(path), size)]
        )
        self.prune(files)
        return {
            table: [
                replace(
                    file,
                    path=str(self._copy_path(file.path)),
                    deletes_path=str(self._copy_path(file.deletes_path))
                    if file.deletes_path
                    else None,
                )
                for file in table_files
            ]
            for table, table_files in files.items()
        }

    def prune(self, files: LakeFiles) -> None:
        """Remove copies of files that the lake no longer has."""
        if self._folder.is_dir():
            kept_names = {self._copy_path(path).name for path in all_paths(files)}
            for path in self._folder.iterdir():
                if path.name not in kept_names and not _is_being_fetched(path):
                    path.unlink(missing_ok=True)

    def _copy_path(self, path: str) -> Path:
        return self._folder / path.rpartition("/")[2]

    def _fetch(self, parts: Sequence[tuple[str, int]]) -> None:
        if not parts:
            return
        try:
            with ThreadPoolExecutor(_PARALLEL_FETCHES) as pool:
                list(pool.map(self._fetch_one, parts))
        except (ObjectNotFound, ObjectStoreUnavailable) as error:
            raise LakeUnavailable(
                "The object store did not deliver a file of the lake. Check that it can be "
                "reached; if it can, run `ytcaption lake verify --repair`."
            ) from error
        except OSError as error:
            raise DiskFull("No space left for copies of the lake's files.") from error

    def _fetch_one(self, part: tuple[str, int]) -> None:
        path, size_bytes = part
        url, copy, storage = urlsplit(path), self._copy_path(path), self._settings.storage
        store = S3Store(url.netloc, "", storage.s3_endpoint_url, storage.s3_region)
        unfinished = copy.with_suffix(f".{uuid4().hex}.part")
        try:
            store.copy_to(url.path.lstrip("/"), unfinished)
            if not is_whole(unfinished, size_bytes):
                raise LakeUnavailable(DAMAGED)
            unfinished.replace(copy)
        finally:
            unfinished.unlink(missing_ok=True)


def _is_being_fetched(path: Path) -> bool:
    try:
        return path.suffix == ".part" and time.time() - path.stat().st_mtime < _MAX_FETCH_S
    except FileNotFoundError:
        return False
