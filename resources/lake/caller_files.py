"""The lake's files as one caller may see them: as they are, or copied without others' rows.

A file whose rows the caller may all see is used as it is. A file that also holds others' rows, as
merged files do, is copied with only the visible rows. Lake files never change, and neither do the
copies: the caller's later queries use them again, until the caller may see other rows of the file.
See docs/adr/security-rules.md#rule-30.
"""

import hashlib
import os
import threading
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from resources.lake.connection import lake_errors
from resources.lake.copy_folder import CopyFolder
from resources.lake.files import LakeFile, LakeFiles, table_query
from resources.lake.maintenance import media_id_of
from resources.lake.query_child import START_S
from resources.lake.storage import quoted
from resources.postgres.connection import Postgres
from resources.postgres.predicates import is_erased
from ytcaption.domain.transcripts.lake_schema import SORTED, TABLES
from ytcaption.settings.settings import Settings

_MAX_COPIES_BYTES = 4 * 1024**3
"""Of all callers together, but for what their queries are reading."""
_PUBLISHED_TITLE = "case when kind <> 'upload' then title end"


@dataclass(frozen=True)
class _Contents:
    """What a file holds, deleted rows included, whose bytes are in it too.

    Attributes:
        keys: transcription or media ids.
        has_names: there are media with names of uploads, which earlier versions wrote.
    """

    keys: frozenset[str]
    has_names: bool


_contents_by_path: dict[str, _Contents] = {}
_locks: dict[str, threading.Lock] = {}
"""By owner: two queries of one caller make each copy once."""


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
    """A folder of filtered copies: one per caller and file."""

    def __init__(self, settings: Settings) -> None:
        self._copies = CopyFolder(settings.home / "cache" / "lake-shares")
        self._query_s = settings.analytics.query_timeout_s + START_S

    def visible(
        self, files: LakeFiles, owner: str, ids: Collection[str]
    ) -> dict[str, list[LakeFile]]:
        """Return files that hold only the rows of the given transcriptions and their media.

        Args:
            files: the lake's, on this machine.
            owner: the caller.
            ids: the caller's transcriptions.

        Raises:
            LakeUnavailable: a file is missing or damaged. DiskFull.
        """
        transcriptions, media_ids = frozenset(ids), frozenset(media_id_of(id) for id in ids)
        with lake_errors(), _locks.setdefault(owner, threading.Lock()):
            self.prune(files)
            shown = {
                table: self._visible_files(
                    table, table_files, owner, media_ids if table == "media" else transcriptions
                )
                for table, table_files in files.items()
            }
            self._copies.limit(_MAX_COPIES_BYTES, self._query_s)
            return shown

    def prune(self, files: LakeFiles, *, in_progress: bool = False) -> None:
        """Remove copies of files that the lake no longer has.

        Args:
            in_progress: whether to remove those in progress, too. Only if `files` are the lake's
                latest.
        """
        current_names = {_name(file) for table_files in files.values() for file in table_files}
        current_paths = {file.path for table_files in files.values() for file in table_files}
        for path in [path for path in list(_contents_by_path) if path not in current_paths]:
            _contents_by_path.pop(path, None)
        self._copies.prune(
            lambda name: name.rpartition(".of.")[0] in current_names, in_progress=in_progress
        )

    def _visible_files(
        self, table: str, table_files: Collection[LakeFile], owner: str, allowed: frozenset[str]
    ) -> list[LakeFile]:
        files = []
        for file in table_files:
            contents = _contents_of(table, file)
            visible = contents.keys & allowed
            if visible == contents.keys and not contents.has_names:
                files.append(file)
            elif visible:
                files.append(self._copy(table, file, owner, visible))
        return files

    def _copy(self, table: str, file: LakeFile, owner: str, keys: frozenset[str]) -> LakeFile:
        of_owner = f"{_name(file)}.of.{_digest(owner)}."
        text = "\n".join(["without names of uploads", *sorted(keys)])
        path = self._copies.path / f"{of_owner}{_digest(text)}.parquet"
        try:
            size_bytes = path.stat().st_size
            os.utime(path)  # used now
        except FileNotFoundError:
            with self._copies.new_copy(path.name) as unfinished:
                _write_rows(table, file, keys, unfinished)
                size_bytes = unfinished.stat().st_size
            # A query that has yet to open the caller's earlier copy lists the files again.
            self._copies.prune(lambda name: name == path.name or not name.startswith(of_owner))
        return LakeFile(str(path), size_bytes)


def _write_rows(table: str, file: LakeFile, keys: frozenset[str], path: Path) -> None:
    """Write the rows with the given keys to another file."""
    import duckdb

    key = TABLES[table][0].name
    order = f"order by {', '.join(SORTED[table])}" if table in SORTED else ""
    shown = f"* replace ({_PUBLISHED_TITLE} as title)" if table == "media" else "*"
    with duckdb.connect(":memory:", config={"threads": "1"}) as database:
        database.execute(
            f"copy (select {shown} from ({table_query(table, [file])}) "  # noqa: S608
            f"where {key} in (select unnest($keys)) {order}) "
            f"to {quoted(str(path))} (format parquet, compression zstd)",
            {"keys": sorted(keys)},
        )


def _contents_of(table: str, file: LakeFile) -> _Contents:
    contents = _contents_by_path.get(file.path)
    if contents is None:
        import duckdb

        key = TABLES[table][0].name
        with duckdb.connect(":memory:", config={"threads": "1"}) as database:
            has_name = f"title is distinct from {_PUBLISHED_TITLE}" if table == "media" else "false"
            rows = database.execute(
                f"select {key}, bool_or({has_name}) from read_parquet({quoted(file.path)}) "  # noqa: S608
                "group by 1"
            ).fetchall()
        contents = _Contents(frozenset(row[0] for row in rows), any(row[1] for row in rows))
        _contents_by_path[file.path] = contents
    return contents


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _name(file: LakeFile) -> str:
    """Return a name for the file together with its list of deleted rows."""
    parts = [Path(path).stem for path, _ in file.parts]
    return "+".join(parts)
