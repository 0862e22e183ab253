"""The journal of a restore: how far it is, so that one that was cut short can be ended.

Up to the stage `exchanging` the present installation is complete and untouched, and an interrupted
restore is undone. From then on the new one is complete, verified and on the disk, and the exchange
is carried out to its end. So there is one moment of decision: the renaming of the journal's file.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from resources.disk import fsync
from resources.postgres.restore_mark import (
    being_restored,
    journal_path,
    lock_path,
    restore_folder,
)
from resources.processes.holder_lock import LockHeld, holder_lock
from ytcaption.domain.errors import SetupError, StorageError
from ytcaption.settings.settings import Settings

Stage = Literal["filling", "exchanging", "opening"]
"""`filling`: the new databases and files. `exchanging`: names and files. `opening`: all is in its
place, and the database's mark is removed, then what was replaced."""

_PATIENCE_S = 10.0  # another process may be ending an interrupted restore


@dataclass(frozen=True)
class Journal:
    """One restore.

    Attributes:
        made_at: of the backup.
        added: keys of objects that were not there before.
        replaced: keys of objects whose new bytes wait under another key.
        has_key: the key of webhooks waits beside the journal.
    """

    made_at: str
    stage: Stage = "filling"
    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    has_key: bool = False

    def at(self, stage: Stage) -> "Journal":
        """Return the journal at another stage."""
        return replace(self, stage=stage)

    def save(self, settings: Settings) -> None:
        """Write it to the disk, as a whole or not at all.

        Raises:
            StorageError: the home cannot be written.
        """
        path = journal_path(settings)
        draft = path.with_suffix(".new")
        try:
            draft.write_text(json.dumps(asdict(self)), encoding="utf-8")
            fsync(draft)
            draft.replace(path)
            fsync(path.parent)
            fsync(path.parent.parent)
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}.") from error

    @classmethod
    def read(cls, settings: Settings) -> "Journal | None":
        """Return the journal of the restore that has not ended; None if there is none.

        Raises:
            SetupError: it cannot be read.
        """
        path = journal_path(settings)
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise SetupError(f"{path} cannot be read, so that the restore cannot end.") from error

    @staticmethod
    def remove(settings: Settings) -> None:
        """Remove the journal, then everything else in its folder: the restore has ended."""
        folder = restore_folder(settings)
        journal_path(settings).unlink(missing_ok=True)
        fsync(folder)
        for path in folder.iterdir():
            if path != lock_path(settings):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def restore_lock(settings: Settings) -> Iterator[None]:
    """Let no other process restore, or end a restore, while the context lasts.

    Raises:
        SetupError: another process does so, or the home cannot be written.
    """
    path = lock_path(settings)
    with ExitStack() as stack:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(holder_lock(path, _PATIENCE_S))
        except LockHeld as error:
            raise being_restored(settings, error.holder) from error
        except OSError as error:
            raise SetupError(
                f"{settings.home} cannot be written: {error.strerror}. Set YTCAPTION_HOME to a "
                "writable folder."
            ) from error
        yield
