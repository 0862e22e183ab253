"""Copies of an S3 lake's files on this machine, for queries, which have no network."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from resources.lake.connection import DAMAGED
from resources.lake.files import LakeFile, LakeFiles, all_paths, is_whole
from ytcaption.domain.errors import DiskFull, LakeUnavailable
from ytcaption.settings import Settings

_FETCHES = 8
_ABANDONED_S = 86_400.0


class LakeFileCache:
    """A folder of copies, by the names DuckLake gave, which are UUIDs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.home / "cache" / "lake"

    def local(self, files: LakeFiles) -> dict[str, list[LakeFile]]:
        """The same list with local paths, after fetching what is new and removing what is gone.

        Raises:
            LakeUnavailable: S3 does not give a file. DiskFull.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        parts = [part for table in files.values() for file in table for part in file.parts]
        self._fetch([(path, size) for path, size in parts if not is_whole(self._of(path), size)])
        self.prune(files)
        return {
            table: [
                replace(
                    file,
                    path=str(self._of(file.path)),
                    deletes_path=str(self._of(file.deletes_path)) if file.deletes_path else None,
                )
                for file in listed
            ]
            for table, listed in files.items()
        }

    def prune(self, files: LakeFiles) -> None:
        """Remove copies of files that the lake no longer has."""
        if self._folder.is_dir():
            kept = {self._of(path).name for path in all_paths(files)}
            for path in self._folder.iterdir():
                if path.name not in kept and not _is_being_fetched(path):
                    path.unlink(missing_ok=True)

    def _of(self, path: str) -> Path:
        return self._folder / path.rpartition("/")[2]

    def _fetch(self, parts: Sequence[tuple[str, int]]) -> None:
        if not parts:
            return
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError

        client = boto3.client(
            "s3",
            endpoint_url=self._settings.s3_endpoint_url,
            region_name=self._settings.s3_region,
        )

        def fetch(part: tuple[str, int]) -> None:
            address, target = urlsplit(part[0]), self._of(part[0])
            unfinished = target.with_suffix(f".{uuid4().hex}.part")
            try:
                client.download_file(address.netloc, address.path.lstrip("/"), str(unfinished))
                if not is_whole(unfinished, part[1]):
                    raise LakeUnavailable(DAMAGED)
                unfinished.replace(target)
            finally:
                unfinished.unlink(missing_ok=True)

        try:
            with ThreadPoolExecutor(_FETCHES) as pool:
                list(pool.map(fetch, parts))
        except (BotoCoreError, ClientError) as error:
            raise LakeUnavailable(
                "The object store did not give a file of the lake. Check that it can be reached; "
                "if it can, run `ytcaption lake verify --repair`."
            ) from error
        except OSError as error:
            raise DiskFull("No space left for copies of the lake's files.") from error


def _is_being_fetched(path: Path) -> bool:
    try:
        return path.suffix == ".part" and time.time() - path.stat().st_mtime < _ABANDONED_S
    except FileNotFoundError:
        return False
