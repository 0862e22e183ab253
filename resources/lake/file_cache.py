"""Local copies of an S3 lake's files, because query processes have no network."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from resources.lake.connection import DAMAGED
from resources.lake.copy_folder import CopyFolder
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


class LakeFileCache:
    """A folder of copies, named as DuckLake named the files, by UUIDs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._copies = CopyFolder(settings.home / "cache" / "lake")

    def local_copies(self, files: LakeFiles) -> dict[str, list[LakeFile]]:
        """Return the same files with local paths; fetch new files, remove copies no longer listed.

        Raises:
            LakeUnavailable: S3 does not deliver a file. SetupError: it refuses. DiskFull.
        """
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

    def prune(self, files: LakeFiles, *, in_progress: bool = False) -> None:
        """Remove copies of files that the lake no longer has; see `CallerFiles.prune`."""
        kept_names = {self._copy_path(path).name for path in all_paths(files)}
        self._copies.prune(kept_names.__contains__, in_progress=in_progress)

    def _copy_path(self, path: str) -> Path:
        return self._copies.path / path.rpartition("/")[2]

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
        with self._copies.new_copy(copy.name) as unfinished:
            store.copy_to(url.path.lstrip("/"), unfinished)
            if not is_whole(unfinished, size_bytes):
                raise LakeUnavailable(DAMAGED)
