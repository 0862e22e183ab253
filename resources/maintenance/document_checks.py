"""Checks of transcript documents and of the lake, compared with Postgres."""

import hashlib
from collections.abc import Sequence
from functools import partial

from resources.events import add_event
from resources.lake.documents import document_from_rows, stored_document
from resources.lake.verify import LakeReport
from resources.maintenance.check import Check, Installation, Repaired, one_by_one
from resources.maintenance.file_checks import IN_USE_S
from resources.postgres.advisory_locks import exclusive_work_lock
from resources.transcriptions.reads import completed_ids, get_transcription
from resources.transcriptions.rows import TranscriptionRow
from resources.transcriptions.state import locked_row
from ytcaption.domain.errors import (
    ObjectCorrupt,
    ObjectNotFound,
    TranscriptionErased,
    TranscriptionNotFound,
)
from ytcaption.domain.events import EventType


def _missing_documents(installation: Installation) -> list[str]:
    # Read the rows first: documents stored in between are then listed.
    rows = _documented(installation)
    listed = {stored.key for stored in installation.objects.stored("transcripts")}
    return [id for id, key, _ in rows if key not in listed]


def _damaged_documents(installation: Installation) -> list[str]:
    damaged = []
    for id, key, sha256 in _documented(installation):
        try:
            installation.objects.read_bytes(key, sha256)
        except ObjectCorrupt:
            damaged.append(id)
        except ObjectNotFound:
            continue  # found by `_missing_documents`
    return damaged


def _documented(installation: Installation) -> list[tuple[str, str, str]]:
    rows = installation.postgres.rows(
        "select id, document_key, document_sha256 from ytcaption.transcription "
        "where document_key is not null order by id",
        {},
    )
    return [(row["id"], row["document_key"], row["document_sha256"]) for row in rows]


def _rebuild(installation: Installation, id: str) -> bool:
    with exclusive_work_lock(installation.postgres, id, IN_USE_S):
        try:
            row = get_transcription(installation.postgres, id)
        except (TranscriptionNotFound, TranscriptionErased):
            return False
        if row.document_key is None or _is_sound(installation, row):
            return False
        data = document_from_rows(installation.postgres, row)
        sha256 = hashlib.sha256(data).hexdigest()
        installation.objects.write_bytes(row.document_key, data)
        if sha256 != row.document_sha256:
            _record_checksum(installation, id, sha256)
    return True


def _is_sound(installation: Installation, row: TranscriptionRow) -> bool:
    assert row.document_key is not None
    try:
        installation.objects.read_bytes(row.document_key, row.document_sha256)
    except (ObjectCorrupt, ObjectNotFound):
        return False
    return True


def _record_checksum(installation: Installation, id: str, sha256: str) -> None:
    with installation.postgres.transaction() as connection:
        row = locked_row(connection, id)
        connection.execute(
            "update ytcaption.transcription set document_sha256 = %s, updated_at = now() "
            "where id = %s",
            (sha256, id),
        )
        # The text is the same, so the measured accuracy still holds.
        connection.execute(
            "update ytcaption.caption_accuracy set document_sha256 = %s "
            "where transcription_id = %s and document_sha256 = %s",
            (sha256, id, row["document_sha256"]),
        )
        add_event(connection, row, EventType.DOCUMENT_REBUILT, {"document_sha256": sha256})


def _verify(installation: Installation, *, repair: bool) -> LakeReport:
    document = partial(stored_document, installation.postgres, installation.objects)
    return installation.catalog.verify(
        partial(completed_ids, installation.postgres), document, repair=repair
    )


def _lake_differs(installation: Installation) -> list[str]:
    report = _verify(installation, repair=False)
    names = (*report.damaged_files, *report.different, *report.orphaned, *report.unreadable)
    return [name.rpartition("/")[2] for name in names]


def _repair_lake(installation: Installation, names: Sequence[str]) -> Repaired:
    report = _verify(installation, repair=True)
    left = dict(report.unreadable)
    return Repaired(done=[name for name in names if name not in left], left=left)


def _remove_lake_files(installation: Installation, names: Sequence[str]) -> Repaired:
    installation.catalog.remove_orphaned_files()
    return Repaired(done=list(names))


DOCUMENT_CHECK = Check(
    "document_missing",
    "transcriptions whose document is missing",
    "rebuilt from the database, without the segments that were dropped as hallucinations",
    _missing_documents,
    one_by_one(_rebuild),
)

DAMAGE_CHECKS = (
    Check(
        "document_damaged",
        "transcriptions whose document is damaged",
        "as above",
        _damaged_documents,
        one_by_one(_rebuild),
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
        "files in the lake that are not in its catalog",
        "removed",
        lambda installation: installation.catalog.orphaned_files(),
        _remove_lake_files,
    ),
)
