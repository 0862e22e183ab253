"""A folder that an export is written to: whole files, and an index of what is in it.

Each line of `index.jsonl` is what was exported once: after a kill, what has its line is not made
again. A line is written when all of its files are.
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
_UNFINISHED = ".unfinished"

Entry = dict[str, Any]
"""`id`, `version` (of what it was made), `form` (how), `files`, and what else is known of it."""


class ExportFolder:
    """Use it as a context: nobody else writes there meanwhile.

    Attributes:
        entries: by id.
    """

    def __init__(self, path: Path, form: str, *, dry_run: bool = False) -> None:
        """
        Args:
            form: kind and options; the first word tells kinds apart, which share no folder.
            dry_run: only look.
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
            raise InvalidOption(f"{self.path} is not empty, and no export. Name another folder.")
        if not self._is_dry:
            self.path.mkdir(parents=True, exist_ok=True)
            self._index = os.open(index, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                fcntl.flock(self._index, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.__exit__()
                raise InvalidOption(
                    f"Another export is writing to {self.path}. Wait until it is done."
                ) from None
            (self.path / _UNFINISHED).unlink(missing_ok=True)  # of an export that was killed
        if index.exists():
            self._read(index)
        kind = self._form.partition(" ")[0]
        for entry in self.entries.values():
            if entry["form"].partition(" ")[0] != kind:
                raise InvalidOption(
                    f"{self.path} holds an export as {entry['form'].partition(' ')[0]}. Name "
                    "another folder."
                )
            self._taken.update(same_file(name) for name in [*entry["files"], entry.get("stem", "")])

    def _read(self, index: Path) -> None:
        lines = index.read_text(encoding="utf-8", errors="replace").split("\n")
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the last one of an export that was killed
            if isinstance(entry, dict) and all(name in entry for name in ("id", "form", "files")):
                self.entries[entry["id"]] = entry

    def is_current(self, id: str, version: str) -> bool:
        """Whether it was exported as it is now, and the files are still there."""
        entry = self.entries.get(id)
        return (
            entry is not None
            and (entry.get("version"), entry["form"]) == (version, self._form)
            and all((self.path / name).is_file() for name in entry["files"])
        )

    def stem(self, id: str, wanted: str) -> str:
        """A name without extension that is no other's; the same one each time."""
        entry = self.entries.get(id)
        if entry is not None and entry.get("wanted") == wanted and entry.get("stem"):
            return entry["stem"]
        found = free_name(wanted, self._taken)
        self._taken.add(same_file(found))
        return found

    def write(self, name: str, data: bytes) -> None:
        """A file of the folder: its old bytes or its new ones, whenever one looks.

        Raises:
            DiskFull: no space left.
            FileUnreadable: it cannot be written.
        """
        with self.writing(name) as path:
            path.write_bytes(data)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Where to write the file of that name, which takes its place when the context ends well.

        Raises:
            as `write`.
        """
        target = self.path / name
        unfinished = self.path / _UNFINISHED
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield unfinished
            unfinished.replace(target)
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            unfinished.unlink(missing_ok=True)

    def done(self, id: str, version: str, files: Iterable[str], **known: Any) -> None:
        """All files of it are written: the line is, and what it had before is removed.

        Raises:
            as `write`.
        """
        assert self._index is not None
        entry = {"id": id, "version": version, "form": self._form, "files": list(files), **known}
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        try:
            # A torn line of before must not take this one with it.
            os.write(self._index, f"\n{line}".encode())
        except OSError as error:
            raise self._unwritable(error) from error
        before = self.entries.get(id, {"files": []})["files"]
        self.entries[id] = entry
        self._remove(set(before) - set(entry["files"]))

    def forget(self, ids: Iterable[str]) -> None:
        """They and their files are no longer part of it. `finish` writes that down."""
        for id in ids:
            self._remove(self.entries.pop(id)["files"])

    def finish(self) -> None:
        """The index without what was exported again since, in the order of ids.

        Raises:
            as `write`.
        """
        lines = (json.dumps(self.entries[id], ensure_ascii=False) for id in sorted(self.entries))
        data = "".join(f"{line}\n" for line in lines).encode()
        self.write(INDEX, data)

    def _remove(self, names: Iterable[str]) -> None:
        """Files of ours; an index that somebody has changed leads to no other folder."""
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
