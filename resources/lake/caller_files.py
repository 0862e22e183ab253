"""The lake's files as one caller may see them: whole, or copied without others' rows (rule 30).

A file that holds nothing but what the caller may see is given as it is. Of one that holds others'
rows, too, as merged files do, a copy is made of those that the caller may see. Files are never
written again, so neither are copies: the next query finds them, whoever asks.
"""

import hashlib
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from resources.lake.connection import lake_errors
from resources.lake.files import LakeFile, LakeFiles, table_query
from resources.lake.maintenance import media_of
from resources.lake.storage import quoted
from resources.postgres.connection import Postgres
from resources.postgres.predicates import is_erased
from ytcaption.domain.transcripts.lake_schema import SORTED, TABLES
from ytcaption.settings import Settings

_ABANDONED_S = 86_400.0

_keys_by_path: dict[str, frozenset[str]] = {}
"""Transcriptions or media that a file has rows of, deleted ones, too."""
_making = threading.Lock()


def visible_ids(postgres: Postgres, owner: str) -> list[str]:
    """The transcriptions that an owner may see (rule 12)."""
    rows = postgres.rows(
        "select distinct transcription_id as id from ytcaption.request "  # noqa: S608
        f"where owner = %(owner)s and not {is_erased('transcription_id')}",
        {"owner": owner},
    )
    return [row["id"] for row in rows]


class LakeShares:
    """A folder of copies."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.home / "cache" / "lake-shares"

    def of(self, files: LakeFiles, ids: Collection[str]) -> dict[str, list[LakeFile]]:
        """The files of some transcriptions and their media alone.

        Args:
            files: the lake's, on this machine.
            ids: the transcriptions.

        Raises:
            LakeUnavailable: a file is missing or damaged. DiskFull.
        """
        transcriptions, medias = frozenset(ids), frozenset(media_of(id) for id in ids)
        with lake_errors(), _making:
            self.prune(files)
            return {
                table: self._of_table(table, listed, medias if table == "media" else transcriptions)
                for table, listed in files.items()
            }

    def prune(self, files: LakeFiles) -> None:
        """Remove copies of files that the lake no longer has."""
        sources = {_name(file) for listed in files.values() for file in listed}
        paths = {file.path for listed in files.values() for file in listed}
        for path in [path for path in _keys_by_path if path not in paths]:
            del _keys_by_path[path]
        if self._folder.is_dir():
            for copy in self._folder.iterdir():
                if copy.name.rpartition(".of.")[0] not in sources and not _is_being_made(copy):
                    copy.unlink(missing_ok=True)

    def _of_table(
        self, table: str, listed: Collection[LakeFile], allowed: frozenset[str]
    ) -> list[LakeFile]:
        shared = []
        for file in listed:
            keys = _keys_in(table, file)
            mine = keys & allowed
            if mine == keys:
                shared.append(file)
            elif mine:
                shared.append(self._copy(table, file, mine))
        return shared

    def _copy(self, table: str, file: LakeFile, keys: frozenset[str]) -> LakeFile:
        import duckdb

        digest = hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()
        path = self._folder / f"{_name(file)}.of.{digest}.parquet"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            unfinished = path.with_suffix(f".{uuid4().hex}.part")
            key = TABLES[table][0].name
            order = f"order by {', '.join(SORTED[table])}" if table in SORTED else ""
            try:
                with duckdb.connect(":memory:", config={"threads": "1"}) as database:
                    database.execute(
                        f"copy (select * from ({table_query(table, [file])}) "  # noqa: S608
                        f"where {key} in (select unnest($keys)) {order}) "
                        f"to {quoted(str(unfinished))} (format parquet, compression zstd)",
                        {"keys": sorted(keys)},
                    )
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
        return LakeFile(str(path), path.stat().st_size)


def _keys_in(table: str, file: LakeFile) -> frozenset[str]:
    """From the rows themselves, since the bytes of deleted ones are in the file, too."""
    found = _keys_by_path.get(file.path)
    if found is None:
        import duckdb

        key = TABLES[table][0].name
        with duckdb.connect(":memory:", config={"threads": "1"}) as database:
            rows = database.execute(
                f"select distinct {key} from read_parquet({quoted(file.path)})"  # noqa: S608
            ).fetchall()
        found = _keys_by_path[file.path] = frozenset(row[0] for row in rows)
    return found


def _name(file: LakeFile) -> str:
    """Of the file and of what is deleted from it."""
    parts = [Path(path).stem for path, _ in file.parts]
    return "+".join(parts)


def _is_being_made(path: Path) -> bool:
    with suppress(FileNotFoundError):
        return path.suffix == ".part" and time.time() - path.stat().st_mtime < _ABANDONED_S
    return False
