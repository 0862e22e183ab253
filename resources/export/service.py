"""The library, or a part of it, in a folder; again, only what is new or has changed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from resources.export.folder import ExportFolder
from ytcaption.domain.errors import (
    DatabaseUnavailable,
    DiskFull,
    FileUnreadable,
    LakeUnavailable,
    ObjectStoreUnavailable,
    YtcaptionError,
)

OnProgress = Callable[[int, int], None]
"""How many are done, of how many."""

_FOR_ALL = (
    DatabaseUnavailable,
    DiskFull,
    FileUnreadable,
    LakeUnavailable,
    ObjectStoreUnavailable,
)
"""What goes wrong with one would go wrong with the next."""


class _Item(Protocol):
    """A transcription, or a file of many.

    Attributes:
        version: another one where what is written would be another.
    """

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> str: ...


_Kind = TypeVar("_Kind", bound=_Item, contravariant=True)


class Exporter(Protocol[_Kind]):
    """Writes items in one form."""

    @property
    def form(self) -> str:
        """As `ExportFolder` takes it."""
        ...

    def what_is_missing(self, one: _Kind) -> str | None:
        """Why it cannot be exported."""

    def export(self, one: _Kind, folder: ExportFolder) -> None:
        """Write its files, and tell the folder when it is done."""

    def finish(self, folder: ExportFolder) -> None:
        """Write what is made of all together."""


@dataclass
class Exported:
    """What came of it, or would.

    Attributes:
        same: were there already.
        other: in the folder, and not among what was asked for.
        removed: of these.
        failed: id -> why.
    """

    new: int = 0
    changed: int = 0
    same: int = 0
    other: int = 0
    removed: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def export(
    items: Sequence[_Kind],
    exporter: Exporter[_Kind],
    path: Path,
    *,
    dry_run: bool = False,
    prune: bool = False,
    on_progress: OnProgress = lambda done, total: None,
) -> Exported:
    """Write each of them in its form.

    Args:
        dry_run: write nothing, only count.
        prune: remove what the folder holds of others.

    Raises:
        InvalidOption: the folder is none of such an export.
        DiskFull, FileUnreadable, DatabaseUnavailable, LakeUnavailable, ObjectStoreUnavailable.
    """
    result = Exported()
    with ExportFolder(path, exporter.form, dry_run=dry_run) as folder:
        try:
            for number, one in enumerate(items):
                on_progress(number, len(items))
                _export_one(one, exporter, folder, result, dry_run=dry_run)
            others = sorted(folder.entries.keys() - {one.id for one in items})
            result.other = len(others)
            if prune and not dry_run:
                folder.forget(others)
                result.removed = len(others)
        finally:
            if not dry_run:
                exporter.finish(folder)
                folder.finish()
    return result


def _export_one(
    one: _Kind, exporter: Exporter[_Kind], folder: ExportFolder, result: Exported, *, dry_run: bool
) -> None:
    if folder.is_current(one.id, one.version):
        result.same += 1
        return
    was_there = one.id in folder.entries
    why = exporter.what_is_missing(one)
    if why is None and not dry_run:
        try:
            exporter.export(one, folder)
        except _FOR_ALL:
            raise
        except YtcaptionError as error:
            why = error.message
        except ValueError:
            why = "Its document cannot be read."
    if why is not None:
        result.failed[one.id] = why
    elif was_there:
        result.changed += 1
    else:
        result.new += 1
