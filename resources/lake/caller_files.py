"""The lake's files as one caller may see them: as they are, or copied without others' rows.

A file whose rows the caller may all see is used as it is. A file that also holds others' rows, as
merged files do, is copied with only the visible rows. Lake files never change, and neither do the
copies: later queries of any caller with the same rights use them again.
See docs/adr/security-rules.md#rule-30.
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
from resources.lake.maintenance import media_id_of
from resources.lake.storage import quoted
from resources.postgres.connection import Postgres
from resources.postgres.predicates import is_erased
from ytcaption.domain.transcripts.lake_schema import SORTED, TABLES
from ytcaption.settings.settings import Settings

_MAX_COPY_S = 86_400.0

_keys_by_path: dict[str, frozenset[str]] = {}
"""Transcription or media ids in each file, those of deleted rows included."""
_with_names: set[str] = set()
"""Files of media with names of uploads, which earlier versions wrote."""

_PUBLISHED_TITLE = "case when kind <> 'upload' then title end"
_lock = threading.Lock()


def visible_ids(postgres: Postgres, owner: str) -> list[str]:
    """Return the transcriptions that an owner may see."""
    rows = postgres.rows(
        "select distinct transcription_id as id from ytcaption.request "  # noqa: S608
        f"where owner = %(owner)s and not {is_erased('transcription_id')}",
        {"owner": owner},
    )
    return [row["id"] for row in rows]


def given_titles(postgres: Postgres, owner: str | None) -> dict[str, str]:
    """Return the titles that came with an owner's requests, by media, where a query shows them.

    Args:
        owner: `Caller.sees_only`; None: of all owners.
    """
    rows = postgres.rows(
        """
        select distinct on (media.id) media.id, request.title
        from ytcaption.request
        join ytcaption.transcription on transcription.id = request.transcription_id
        join ytcaption.media on media.id = transcription.media_id
        where request.title is not null and (%(owner)s::text is null or request.owner = %(owner)s)
            and (media.kind <> 'site' or media.info ->> 'title' is null)
        order by media.id, request.id desc
        """,
        {"owner": owner},
    )
    return {row["id"]: row["title"] for row in rows}


class CallerFiles:
    """A folder of filtered copies."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.home / "cache" / "lake-shares"

    def visible(self, files: LakeFiles, ids: Collection[str]) -> dict[str, list[LakeFile]]:
        """Return files that hold only the rows of the given transcriptions and their media.

        Args:
            files: the lake's, on this machine.
            ids: the transcriptions.

        Raises:
            LakeUnavailable: a file is missing or damaged. DiskFull.
        """
        transcriptions, media_ids = frozenset(ids), frozenset(media_id_of(id) for id in ids)
        with lake_errors(), _lock:
            self.prune(files)
            return {
                table: self._visible_files(
                    table, table_files, media_ids if table == "media" else transcriptions
                )
                for table, table_files in files.items()
            }

    def prune(self, files: LakeFiles) -> None:
        """Remove copies of files that the lake no longer has."""
        current_names = {_name(file) for table_files in files.values() for file in table_files}
        current_paths = {file.path for table_files in files.values() for file in table_files}
        for path in [path for path in _keys_by_path if path not in current_paths]:
            del _keys_by_path[path]
            _with_names.discard(path)
        if self._folder.is_dir():
            for copy in self._folder.iterdir():
                if copy.name.rpartition(".of.")[0] not in current_names and not _is_being_made(
                    copy
                ):
                    copy.unlink(missing_ok=True)

    def _visible_files(
        self, table: str, table_files: Collection[LakeFile], allowed: frozenset[str]
    ) -> list[LakeFile]:
        files = []
        for file in table_files:
            keys = _keys_of(table, file)
            visible = keys & allowed
            if visible == keys and file.path not in _with_names:
                files.append(file)
            elif visible:
                files.append(self._copy(table, file, visible))
        return files

    def _copy(self, table: str, file: LakeFile, keys: frozenset[str]) -> LakeFile:
        import duckdb

        text = "\n".join(["without names of uploads", *sorted(keys)])
        digest = hashlib.sha256(text.encode()).hexdigest()
        path = self._folder / f"{_name(file)}.of.{digest}.parquet"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            unfinished = path.with_suffix(f".{uuid4().hex}.part")
            key = TABLES[table][0].name
            order = f"order by {', '.join(SORTED[table])}" if table in SORTED else ""
            try:
                with duckdb.connect(":memory:", config={"threads": "1"}) as database:
                    shown = "*"
                    if table == "media":
                        shown += f" replace ({_PUBLISHED_TITLE} as title)"
                    database.execute(
                        f"copy (select {shown} from ({table_query(table, [file])}) "  # noqa: S608
                        f"where {key} in (select unnest($keys)) {order}) "
                        f"to {quoted(str(unfinished))} (format parquet, compression zstd)",
                        {"keys": sorted(keys)},
                    )
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
        return LakeFile(str(path), path.stat().st_size)


def _keys_of(table: str, file: LakeFile) -> frozenset[str]:
    """Return the keys of the file's rows, deleted rows included, whose bytes are in it too."""
    keys = _keys_by_path.get(file.path)
    if keys is None:
        import duckdb

        key = TABLES[table][0].name
        with duckdb.connect(":memory:", config={"threads": "1"}) as database:
            has_name = f"title is distinct from {_PUBLISHED_TITLE}" if table == "media" else "false"
            rows = database.execute(
                f"select {key}, bool_or({has_name}) from read_parquet({quoted(file.path)}) "  # noqa: S608
                "group by 1"
            ).fetchall()
        if any(row[1] for row in rows):
            _with_names.add(file.path)
        keys = _keys_by_path[file.path] = frozenset(row[0] for row in rows)
    return keys


def _name(file: LakeFile) -> str:
    """Return a name for the file together with its list of deleted rows."""
    parts = [Path(path).stem for path, _ in file.parts]
    return "+".join(parts)


def _is_being_made(path: Path) -> bool:
    with suppress(FileNotFoundError):
        return path.suffix == ".part" and time.time() - path.stat().st_mtime < _MAX_COPY_S
    return False
