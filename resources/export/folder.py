"""The folder of an export: whole files, and an index of its items.

Each line of `index.jsonl` is an exported item, written after its files; after a kill, items with a
line are not exported again.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from resources.disk import is_disk_full
from ytcaption.domain.errors import DiskFull, FileUnreadable, InvalidOption
from ytcaption.domain.media.file_names import free_name, same_file

INDEX = "index.jsonl"
_PARTIAL = ".unfinished"

Entry = dict[str, Any]
"""`id`, `version` of its source, `form` (kind and options), `files`, and further facts."""


class ExportFolder:
    """Use it as a context manager, which locks the folder.

    Attributes:
        entries: by id.
    """

    def __init__(self, path: Path, form: str, *, dry_run: bool = False) -> None:
        """
        Args:
            form: kind and options; the first word is the kind. Kinds do not share a folder.
            dry_run: write nothing.
        """
        self.path = path
        self.entries: dict[str, Entry] = {}
        self._form = form
        self._is_dry = dry_run
        self._taken: set[str] = set()
        self._index: int | None = None

    def __enter__(self) -> Self:
        try:
            self._open()
        except OSError as error:
            raise self._unwritable(error) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._index is not None:
            os.close(self._index)
            self._index = None

    def _open(self) -> None:
        index = self.path / INDEX
        if not index.exists() and self.path.exists() and any(self.path.iterdir()):
            raise InvalidOption(f"{self.path} is not empty and not an export. Name another folder.")
        if not self._is_dry:
            self.path.mkdir(parents=True, exist_ok=True)
            self._index = os.open(index, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                fcntl.flock(self._index, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.__exit__()
                raise InvalidOption(
                    f"Another export is writing to {self.path}. Wait until it has finished."
                ) from None
            (self.path / _PARTIAL).unlink(missing_ok=True)  # of a killed export
        if index.exists():
            self._read(index)
        kind = self._form.partition(" ")[0]
        for entry in self.entries.values():
            if entry["form"].partition(" ")[0] != kind:
                raise InvalidOption(
                    f"{self.path} holds an export of kind {entry['form'].partition(' ')[0]}. Name "
                    "another folder."
                )
            self._taken.update(same_file(name) for name in [*entry["files"], entry.get("stem", "")])

    def _read(self, index: Path) -> None:
        lines = index.read_text(encoding="utf-8", errors="replace").split("\n")
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the last line of a killed export
            if isinstance(entry, dict) and all(name in entry for name in ("id", "form", "files")):
                self.entries[entry["id"]] = entry

    def is_current(self, id: str, version: str) -> bool:
        """Return whether this version was exported with these options, and its files exist."""
        entry = self.entries.get(id)
        return (
            entry is not None
            and (entry.get("version"), entry["form"]) == (version, self._form)
            and all((self.path / name).is_file() for name in entry["files"])
        )

    def stem(self, id: str, preferred: str) -> str:
        """Return a unique name without extension, the same one for an item each time."""
        entry = self.entries.get(id)
        if entry is not None and entry.get("wanted") == preferred and entry.get("stem"):
            return entry["stem"]
        name = free_name(preferred, self._taken)
        self._taken.add(same_file(name))
        return name

    def write(self, name: str, data: bytes) -> None:
        """Write a file of the folder atomically.

        Raises:
            DiskFull: no space left.
            FileUnreadable: it cannot be written.
        """
        with self.writing(name) as path:
            path.write_bytes(data)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a temporary path; its file replaces the named one if the context ends normally.

        Raises:
            as `write`.
        """
        target = self.path / name
        partial = self.path / _PARTIAL
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            partial.replace(target)
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            partial.unlink(missing_ok=True)

    def add(self, id: str, version: str, files: Iterable[str], **fields: Any) -> None:
        """Add the item, whose files are written, to the index; remove its former files.

        Raises:
            as `write`.
        """
        assert self._index is not None
        entry = {"id": id, "version": version, "form": self._form, "files": list(files), **fields}
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        try:
            # An incomplete earlier line must not swallow this one.
            os.write(self._index, f"\n{line}".encode())
        except OSError as error:
            raise self._unwritable(error) from error
        before = self.entries.get(id, {"files": []})["files"]
        self.entries[id] = entry
        self._remove(set(before) - set(entry["files"]))

    def forget(self, ids: Iterable[str]) -> None:
        """Remove items with their files; `finish` updates the index."""
        for id in ids:
            self._remove(self.entries.pop(id)["files"])

    def finish(self) -> None:
        """Rewrite the index with the latest line of each item, by id.

        Raises:
            as `write`.
        """
        lines = (json.dumps(self.entries[id], ensure_ascii=False) for id in sorted(self.entries))
        data = "".join(f"{line}\n" for line in lines).encode()
        self.write(INDEX, data)

    def _remove(self, names: Iterable[str]) -> None:
        """Delete files of the export; paths in a manipulated index cannot leave the folder."""
        for name in names:
            path = self.path / name
            if ".." in Path(name).parts or Path(name).is_absolute():
                continue
            path.unlink(missing_ok=True)
            parent = path.parent
            if parent != self.path and parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()

    def _unwritable(self, error: OSError) -> DiskFull | FileUnreadable:
        if is_disk_full(error):
            return DiskFull(f"The disk is full: {self.path} could not be written. Free some space.")
        return FileUnreadable(
            f"{self.path} cannot be written: {error.strerror or error}. Name another folder."
        )
