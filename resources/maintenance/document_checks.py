"""Transcript documents and the lake against Postgres."""

import hashlib
from collections.abc import Sequence
from functools import partial

from resources.events import add_event
from resources.lake.documents import document_from_rows, stored_document
from resources.lake.verify import LakeReport
from resources.maintenance.check import Check, Mended, Parts, one_by_one
from resources.maintenance.file_checks import IN_USE_S
from resources.postgres.advisory_locks import alone
from resources.transcriptions.rows import TranscriptionRow
from resources.transcriptions.state import locked_row
from ytcaption.domain.errors import (
    ObjectCorrupt,
    ObjectNotFound,
    TranscriptionErased,
    TranscriptionNotFound,
)
from ytcaption.domain.events import EventType


def _missing_documents(parts: Parts) -> list[str]:
    # The rows first: a document that is stored meanwhile is listed.
    rows = _documented(parts)
    listed = {stored.key for stored in parts.objects.stored("transcripts")}
    return [id for id, key, _ in rows if key not in listed]


def _damaged_documents(parts: Parts) -> list[str]:
    damaged = []
    for id, key, sha256 in _documented(parts):
        try:
            parts.objects.read_bytes(key, sha256)
        except ObjectCorrupt:
            damaged.append(id)
        except ObjectNotFound:
            continue  # another check's
    return damaged


def _documented(parts: Parts) -> list[tuple[str, str, str]]:
    rows = parts.postgres.rows(
        "select id, document_key, document_sha256 from ytcaption.transcription "
        "where document_key is not null order by id",
        {},
    )
    return [(row["id"], row["document_key"], row["document_sha256"]) for row in rows]


def _write_anew(parts: Parts, id: str) -> bool:
    with alone(parts.postgres, id, IN_USE_S):
        try:
            row = parts.store.get(id)
        except (TranscriptionNotFound, TranscriptionErased):
            return False
        if row.document_key is None or _is_whole(parts, row):
            return False
        data = document_from_rows(parts.store, row)
        sha256 = hashlib.sha256(data).hexdigest()
        parts.objects.write_bytes(row.document_key, data)
        if sha256 != row.document_sha256:
            _note_new_bytes(parts, id, sha256)
    return True


def _is_whole(parts: Parts, row: TranscriptionRow) -> bool:
    assert row.document_key is not None
    try:
        parts.objects.read_bytes(row.document_key, row.document_sha256)
    except (ObjectCorrupt, ObjectNotFound):
        return False
    return True


def _note_new_bytes(parts: Parts, id: str, sha256: str) -> None:
    with parts.postgres.transaction() as connection:
        row = locked_row(connection, id)
        connection.execute(
            "update ytcaption.transcription set document_sha256 = %s, updated_at = now() "
            "where id = %s",
            (sha256, id),
        )
        # The same text: what was measured of it holds.
        connection.execute(
            "update ytcaption.caption_accuracy set document_sha256 = %s "
            "where transcription_id = %s and document_sha256 = %s",
            (sha256, id, row["document_sha256"]),
        )
        add_event(connection, row, EventType.DOCUMENT_REBUILT, {"document_sha256": sha256})


def _verify(parts: Parts, *, repair: bool) -> LakeReport:
    document = partial(stored_document, parts.store, parts.objects)
    return parts.catalog.verify(parts.store.completed_ids, document, repair=repair)


def _lake_differs(parts: Parts) -> list[str]:
    report = _verify(parts, repair=False)
    names = (*report.damaged_files, *report.different, *report.orphaned, *report.unreadable)
    return [name.rpartition("/")[2] for name in names]


def _repair_lake(parts: Parts, names: Sequence[str]) -> Mended:
    report = _verify(parts, repair=True)
    left = dict(report.unreadable)
    return Mended(done=[name for name in names if name not in left], left=left)


def _remove_lake_files(parts: Parts, names: Sequence[str]) -> Mended:
    parts.catalog.remove_orphaned_files()
    return Mended(done=list(names))


DOCUMENT_CHECK = Check(
    "document_missing",
    "transcriptions whose document is gone",
    "written anew from the database; what was decoded and not believed is lost",
    _missing_documents,
    one_by_one(_write_anew),
)

DAMAGE_CHECKS = (
    Check(
        "document_damaged",
        "transcriptions whose document is not what was written",
        "as above",
        _damaged_documents,
        one_by_one(_write_anew),
    ),
    Check(
        "lake_differs",
        "lake files that are damaged, and transcriptions whose rows in the lake differ",
        "rebuilt from the documents",
        _lake_differs,
        _repair_lake,
    ),
    Check(
        "lake_file_unknown",
        "files of the lake that its catalog does not know",
        "removed",
        lambda parts: parts.catalog.orphaned_files(),
        _remove_lake_files,
    ),
)
