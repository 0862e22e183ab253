"""Checks of what is stored for search: segments with their vectors, compared with the transcript
documents, and embeddings, compared with the segments."""

import json
from dataclasses import asdict

from psycopg import Connection
from psycopg.rows import DictRow

from resources.embeddings.store import EmbeddingStore, forget_embeddings, has_vectors
from resources.maintenance.check import Check, Installation, one_by_one
from resources.maintenance.file_checks import IN_USE_S
from resources.postgres.advisory_locks import exclusive_work_lock
from resources.postgres.jsonb import clean
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.rows import TranscriptionRow
from resources.transcriptions.segments import segment_row, stored_segments, write_segments
from resources.transcriptions.state import locked_row
from ytcaption.domain.errors import (
    ObjectCorrupt,
    ObjectNotFound,
    TranscriptionErased,
    TranscriptionNotFound,
)
from ytcaption.domain.transcripts.passages import passages
from ytcaption.domain.transcripts.transcript import Segment, Transcript

_WRONG_COUNT = """
select id from ytcaption.transcription
where document_key is not null and segment_count is distinct from (
    select count(*) from ytcaption.segment where transcription_id = transcription.id)
order by id
"""

_WRONG_VECTORS = """
select exists (
    select from (
        select language, tsv, ytcaption.search_vector(
            %(language)s, text, lead(text) over (order by index)) as expected
        from ytcaption.segment where transcription_id = %(id)s
    ) as stored
    where language is distinct from %(language)s or tsv is distinct from expected
) as wrong
"""


def _wrong_counts(installation: Installation) -> list[str]:
    return [row["id"] for row in installation.postgres.rows(_WRONG_COUNT, {})]


def _different(installation: Installation) -> list[str]:
    rows = installation.postgres.rows(
        "select id from ytcaption.transcription where document_key is not null order by id", {}
    )
    return [row["id"] for row in rows if _differs(installation, row["id"])]


def _differs(installation: Installation, id: str) -> bool:
    try:
        row = get_transcription(installation.postgres, id)
        transcript = _document(installation, row)
    except (TranscriptionNotFound, TranscriptionErased, ObjectNotFound, ObjectCorrupt):
        return False  # erased meanwhile; or the checks of documents find it
    return transcript is not None and not _is_stored(installation, row, transcript)


def _document(installation: Installation, row: TranscriptionRow) -> Transcript | None:
    if row.document_key is None:
        return None
    data = installation.objects.read_bytes(row.document_key, row.document_sha256)
    return Transcript.from_json(data)


def _is_stored(installation: Installation, row: TranscriptionRow, transcript: Transcript) -> bool:
    stored = stored_segments(installation.postgres, row.id)
    if row.segment_count != len(transcript.segments):
        return False
    if stored != [_as_stored(segment) for segment in transcript.segments]:
        return False
    [vectors] = installation.postgres.rows(
        _WRONG_VECTORS, {"id": row.id, "language": transcript.text_language}
    )
    return not vectors["wrong"]


def _as_stored(segment: Segment) -> Segment:
    return segment_row(clean(asdict(segment)))


def _write_again(installation: Installation, id: str) -> bool:
    with exclusive_work_lock(installation.postgres, id, IN_USE_S):
        try:
            row = get_transcription(installation.postgres, id)
        except (TranscriptionNotFound, TranscriptionErased):
            return False
        transcript = _document(installation, row)
        if transcript is None or _is_stored(installation, row, transcript):
            return False
        with installation.postgres.transaction() as connection:
            if locked_row(connection, id)["document_sha256"] != row.document_sha256:
                return False
            connection.execute("delete from ytcaption.segment where transcription_id = %s", (id,))
            forget_embeddings(connection, id)
            write_segments(connection, id, transcript.text_language, transcript.segments)
            connection.execute(
                "update ytcaption.transcription set segment_count = %s, word_count = %s, "
                "dropped_count = %s, updated_at = now() where id = %s",
                (
                    len(transcript.segments),
                    len(transcript.words),
                    len(transcript.dropped),
                    id,
                ),
            )
    return True


def _embedded(connection: Connection[DictRow]) -> list[DictRow]:
    """Return what counts as embedded, with the first and last segments of its passages."""
    return connection.execute(
        """
        select done.transcription_id, done.model_id, coalesce(
            jsonb_agg(jsonb_build_array(first_index, last_index) order by first_index)
                filter (where first_index is not null), '[]')::text as stored
        from ytcaption.embedding_done as done
        join ytcaption.transcription on transcription.id = done.transcription_id
            and transcription.document_sha256 = done.document_sha256
        left join ytcaption.embedding using (transcription_id, model_id)
        where done.failed_at is null
        group by done.transcription_id, done.model_id
        order by done.transcription_id
        """
    ).fetchall()


def _wrong_embeddings(installation: Installation) -> list[str]:
    with installation.postgres.transaction() as connection:
        embedded = _embedded(connection) if has_vectors(connection) else []
    store = EmbeddingStore(installation.postgres)
    wrong = []
    for row in embedded:
        text = store.text(row["transcription_id"])
        if text is None:
            continue
        expected = [[each.first_index, each.last_index] for each in passages(text.segments)]
        if json.loads(row["stored"]) != expected:
            wrong.append(row["transcription_id"])
    return sorted(set(wrong))


def _forget_embeddings(installation: Installation, id: str) -> bool:
    with installation.postgres.transaction() as connection:
        forget_embeddings(connection, id)
    return True


SEGMENT_CHECK = Check(
    "segments_missing",
    "transcriptions whose segments are not all in the database",
    "written again from the document",
    _wrong_counts,
    one_by_one(_write_again),
)

SEARCH_CHECKS = (
    Check(
        "segments_differ",
        "transcriptions whose segments or search vectors differ from the document",
        "written again from the document",
        _different,
        one_by_one(_write_again),
    ),
    Check(
        "embeddings_differ",
        "transcriptions of which embeddings are missing",
        "forgotten; the sensor or `ytcaption embed` makes them again",
        _wrong_embeddings,
        one_by_one(_forget_embeddings),
    ),
)
