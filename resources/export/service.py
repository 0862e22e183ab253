"""Incremental exports: later runs write only what is new or changed."""

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
"""Called with the numbers of finished and of all items."""

_FATAL = (
    DatabaseUnavailable,
    DiskFull,
    FileUnreadable,
    LakeUnavailable,
    ObjectStoreUnavailable,
)
"""Errors that would affect the next item too."""


class _Item(Protocol):
    """A transcription, or a file of several.

    Attributes:
        version: changes with its content.
    """

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> str: ...


_Kind = TypeVar("_Kind", bound=_Item, contravariant=True)


class Exporter(Protocol[_Kind]):
    """Writes items in one format."""

    @property
    def form(self) -> str:
        """Return kind and options, as `ExportFolder` takes them."""
        ...

    def missing_requirement(self, item: _Kind, /) -> str | None:
        """Return why the item cannot be exported; None: it can."""

    def export(self, item: _Kind, folder: ExportFolder, /) -> None:
        """Write the item's files, and add it to the folder's index."""

    def finish(self, folder: ExportFolder) -> None:
        """Write files common to all items."""


@dataclass
class ExportResult:
    """Numbers of items, also of a dry run.

    Attributes:
        same: unchanged since the last export.
        other: in the folder, but not selected.
        removed: of these.
        failed: id -> reason.
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
) -> ExportResult:
    """Write each item in the exporter's format.

    Args:
        dry_run: only count.
        prune: remove items that are not selected.

    Raises:
        InvalidOption: the folder is not an export of this kind.
        DiskFull, FileUnreadable, DatabaseUnavailable, LakeUnavailable, ObjectStoreUnavailable.
    """
    result = ExportResult()
    with ExportFolder(path, exporter.form, dry_run=dry_run) as folder:
        try:
            for number, item in enumerate(items):
                on_progress(number, len(items))
                _export_one(item, exporter, folder, result, dry_run=dry_run)
            others = sorted(folder.entries.keys() - {item.id for item in items})
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
    item: _Kind,
    exporter: Exporter[_Kind],
    folder: ExportFolder,
    result: ExportResult,
    *,
    dry_run: bool,
) -> None:
    if folder.is_current(item.id, item.version):
        result.same += 1
        return
    existed = item.id in folder.entries
    reason = exporter.missing_requirement(item)
    if reason is None and not dry_run:
        try:
            exporter.export(item, folder)
        except _FATAL:
            raise
        except YtcaptionError as error:
            reason = error.message
        except ValueError:
            reason = "Its document cannot be read."
    if reason is not None:
        result.failed[item.id] = reason
    elif existed:
        result.changed += 1
    else:
        result.new += 1
