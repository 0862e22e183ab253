"""The library, or a part of it, in a folder; again, only what is new or has changed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from resources.export_folder import ExportFolder
from resources.export_parquet import FORM, export_part, parts
from resources.export_selection import Chosen
from resources.transcript_catalog import TranscriptCatalog
from ytcaption_assets.domain.errors import (
    DatabaseUnavailable,
    DiskFull,
    FileUnreadable,
    ObjectStoreUnavailable,
    YtcaptionError,
)

OnProgress = Callable[[int, int], None]
"""How many are done, of how many."""

_FOR_ALL = (DatabaseUnavailable, DiskFull, FileUnreadable, ObjectStoreUnavailable)
"""What goes wrong with one would go wrong with the next."""


class _Exporter(Protocol):
    """Writes transcriptions in one form."""

    form: str

    def what_is_missing(self, one: Chosen) -> str | None: ...
    def export(self, one: Chosen, folder: ExportFolder) -> None: ...
    def finish(self, folder: ExportFolder) -> None: ...


@dataclass
class Exported:
    """What came of it, or would.

    Attributes:
        unit: what is counted: `transcriptions` or `files`.
        same: were there already.
        other: in the folder, and not among what was asked for.
        removed: of these.
        failed: id -> why.
    """

    unit: str = "transcriptions"
    new: int = 0
    changed: int = 0
    same: int = 0
    other: int = 0
    removed: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def export(
    found: Sequence[Chosen],
    exporter: _Exporter,
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
        DiskFull, FileUnreadable, DatabaseUnavailable, ObjectStoreUnavailable.
    """
    result = Exported()
    with ExportFolder(path, exporter.form, dry_run=dry_run) as folder:
        try:
            for number, one in enumerate(found):
                on_progress(number, len(found))
                if folder.is_current(one.id, one.document_sha256):
                    result.same += 1
                    continue
                was_there = one.id in folder.entries
                why = exporter.what_is_missing(one)
                if why is None and not dry_run:
                    why = _problem(exporter, one, folder)
                _count(result, one.id, why, was_there=was_there)
            _leave_others(result, folder, {one.id for one in found}, prune=prune and not dry_run)
        finally:
            if not dry_run:
                exporter.finish(folder)
                folder.finish()
    return result


def export_parquet(
    found: Sequence[Chosen],
    catalog: TranscriptCatalog,
    path: Path,
    *,
    dry_run: bool = False,
    prune: bool = False,
    on_progress: OnProgress = lambda done, total: None,
) -> Exported:
    """The lake's rows of them, as `export`.

    Raises:
        LakeUnavailable: it cannot be read.
        and as `export`.
    """
    result = Exported(unit="files")
    wanted = parts(found)
    with ExportFolder(path, FORM, dry_run=dry_run) as folder:
        try:
            for number, part in enumerate(wanted):
                on_progress(number, len(wanted))
                if folder.is_current(part.id, part.version):
                    result.same += 1
                    continue
                was_there = part.id in folder.entries
                if not dry_run:
                    export_part(part, folder, catalog.rows_of)
                _count(result, part.id, None, was_there=was_there)
            _leave_others(result, folder, {part.id for part in wanted}, prune=prune and not dry_run)
        finally:
            if not dry_run:
                folder.finish()
    return result


def _problem(exporter: _Exporter, one: Chosen, folder: ExportFolder) -> str | None:
    try:
        exporter.export(one, folder)
    except _FOR_ALL:
        raise
    except (YtcaptionError, ValueError) as error:
        return error.message if isinstance(error, YtcaptionError) else "its document is damaged"
    return None


def _count(result: Exported, id: str, why: str | None, *, was_there: bool) -> None:
    if why is not None:
        result.failed[id] = why
    elif was_there:
        result.changed += 1
    else:
        result.new += 1


def _leave_others(result: Exported, folder: ExportFolder, ids: set[str], *, prune: bool) -> None:
    others = sorted(folder.entries.keys() - ids)
    result.other = len(others)
    if prune:
        folder.forget(others)
        result.removed = len(others)
