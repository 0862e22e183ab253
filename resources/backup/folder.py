"""The folder of a backup as it is read: nothing in it is trusted.

It may have been changed where it was kept. So only regular files are opened, below the folder
itself, under names that ytcaption gives, and each must have the size and the hash of the manifest.
See docs/adr/security-rules.md#rule-55.
"""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from resources.backup.manifest import (
    DATABASES,
    KEY,
    MANIFEST,
    OBJECTS,
    PARALLEL_FILES,
    PREFIXES,
    SIGNATURE,
    CopiedFile,
    Manifest,
)
from resources.backup.signature import check_signature
from resources.object_store.store import is_key
from ytcaption.domain.errors import InputError, StorageError
from ytcaption.settings.settings import Settings

DUMPS = ("ytcaption.dump", "dagster.dump", "lake.dump")
_MAX_MANIFEST_BYTES = 1 << 30
_MAX_SIGNATURE_BYTES = 1024
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OPEN = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True)
class BackupFolder:
    """A folder whose names and manifest have been checked.

    Attributes:
        is_signed: its signature was compared with the key of the settings.
    """

    path: Path
    manifest: Manifest
    is_signed: bool

    @classmethod
    def opened(cls, path: Path, settings: Settings) -> "BackupFolder":
        """Return the folder after checking its manifest, signature and names, without contents.

        Raises:
            InputError: it is no backup, its signature is wrong, or it holds what no backup holds.
        """
        manifest_bytes = _small_file(path, MANIFEST, _MAX_MANIFEST_BYTES)
        if manifest_bytes is None:
            raise _no_backup(path)
        key = settings.operation.backup_key
        if key is not None:
            signature = _small_file(path, SIGNATURE, _MAX_SIGNATURE_BYTES)
            check_signature(key.get_secret_value(), manifest_bytes, signature)
        try:
            manifest = Manifest.parse(manifest_bytes)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _no_backup(path) from error
        _check_listed_names(manifest)
        _check_stored_names(path, manifest)
        return cls(path, manifest, key is not None)

    def check(self, on_bytes: Callable[[int], None] = lambda _: None) -> None:
        """Read every file and compare it with the manifest.

        Raises:
            StorageError: a file is missing or damaged.
        """

        def check(item: tuple[str, CopiedFile]) -> str | None:
            name, expected = item
            try:
                with self.open(name) as file:
                    if os.fstat(file.fileno()).st_size != expected.size_bytes:
                        return name
                    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError:
                return name
            on_bytes(expected.size_bytes)
            return None if sha256 == expected.sha256 else name

        with ThreadPoolExecutor(PARALLEL_FILES) as pool:
            results = pool.map(check, self.manifest.files.items())
            damaged = [name for name in results if name is not None]
        if damaged:
            raise StorageError(
                f"{len(damaged):,} files of the backup are missing or damaged, such as "
                f"{damaged[0]}. Nothing was restored. Take another backup."
            )

    @contextmanager
    def open(self, name: str) -> Iterator[BufferedReader]:
        """Open one of its files by its name in the manifest, following no link.

        Raises:
            OSError: it is missing, or is no regular file.
        """
        with _opened(self.path, name) as file:
            yield file

    def dump_path(self, name: str) -> Path:
        """Return the path of a database's dump, whether it exists or not."""
        return self.path / DATABASES / name

    def has_dump(self, name: str) -> bool:
        """Return whether the backup has this dump."""
        return f"{DATABASES}/{name}" in self.manifest.files


def _check_listed_names(manifest: Manifest) -> None:
    for name, file in manifest.files.items():
        group, _, rest = name.partition("/")
        is_known = (
            name == KEY
            or (group == DATABASES and rest in DUMPS)
            or (group == OBJECTS and is_key(rest) and rest.partition("/")[0] in PREFIXES)
        )
        if not is_known:
            raise _foreign(f"a file that no backup of ytcaption has: {name!a:.200}")
        if file.size_bytes < 0 or _SHA256.fullmatch(file.sha256) is None:
            raise _foreign(f"no valid size and hash of {name}")
    for name in DUMPS[:2]:
        if f"{DATABASES}/{name}" not in manifest.files:
            raise _foreign(f"no {DATABASES}/{name}")


def _check_stored_names(root: Path, manifest: Manifest) -> None:
    """Look at every name below the folder, in it or not: links, devices and others are refused."""
    files = {*manifest.files, MANIFEST, SIGNATURE}
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(root / prefix) as entries:
            for entry in entries:
                name = f"{prefix}{entry.name}"
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode) and _is_folder(name):
                    pending.append(f"{name}/")
                elif not stat.S_ISREG(mode):
                    kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
                    raise _foreign(f"{name!a:.200}, which is {kind} that no backup has")
                elif name not in files:
                    raise _foreign(f"{name!a:.200}, which its manifest does not name")


def _is_folder(name: str) -> bool:
    group, _, rest = name.partition("/")
    return name == DATABASES or (group == OBJECTS and (not rest or is_key(rest)))


def _small_file(root: Path, name: str, max_bytes: int) -> bytes | None:
    """Return a file's bytes; None if there is none that may be read."""
    try:
        with _opened(root, name) as file:
            data = file.read(max_bytes + 1)
    except OSError:
        return None
    return data if len(data) <= max_bytes else None


@contextmanager
def _opened(root: Path, name: str) -> Iterator[BufferedReader]:
    *parents, last = name.split("/")
    folder = os.open(root, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        for parent in parents:
            inner = os.open(parent, _OPEN | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = inner
        descriptor = os.open(last, _OPEN, dir_fd=folder)
    finally:
        os.close(folder)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{name} is not a regular file")
        yield file


def _foreign(what: str) -> InputError:
    return InputError(
        f"The backup holds {what}. Nothing was restored. Somebody else may have changed it: use "
        "another backup, or remove what is not yours."
    )


def _no_backup(folder: Path) -> InputError:
    return InputError(
        f"{folder} is not a backup of ytcaption, or is of a later version. Name the folder "
        "that contains manifest.json."
    )
