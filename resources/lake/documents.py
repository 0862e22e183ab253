"""Transcript documents: read for the lake, and rebuilt from the rows in Postgres."""

from dataclasses import replace

from resources.lake.verify import Document
from resources.object_store.store import ObjectStore
from resources.postgres.connection import Postgres
from resources.transcriptions.accuracy import stored_accuracy
from resources.transcriptions.reads import get_media, get_transcription, transcript_timings
from resources.transcriptions.rows import TranscriptionRow
from resources.transcriptions.segments import stored_segments
from ytcaption.domain.errors import MediaNotFound, ObjectNotFound, TranscriptionNotFound
from ytcaption.domain.transcripts.transcript import Transcript


def stored_document(postgres: Postgres, objects: ObjectStore, id: str) -> Document | None:
    """Return a transcription's document with its media; None if either does not exist.

    Raises:
        StorageError: the document cannot be read, or its checksum is wrong.
        ValueError: it is not a transcript of a known version.
    """
    try:
        row = get_transcription(postgres, id)
        media = get_media(postgres, row.media_id)
    except (TranscriptionNotFound, MediaNotFound):
        return None
    if row.document_key is None:
        return None
    data = objects.read_bytes(row.document_key, row.document_sha256)
    accuracy = stored_accuracy(postgres, id, row.document_sha256)
    transcript = Transcript.from_json(data)
    return transcript, media.source, media.info, transcript_timings(postgres, id), accuracy


def document_from_rows(postgres: Postgres, row: TranscriptionRow) -> bytes:
    """Return the document rebuilt from Postgres, without the segments that were dropped.

    If no segment was dropped, the bytes equal those of the original document.

    Raises:
        ObjectNotFound: the rows are incomplete.
    """
    segments = stored_segments(postgres, row.id)
    if (
        row.provenance is None
        or row.language_probability is None
        or row.duration_s is None
        or row.speech_s is None
        or len(segments) != row.segment_count
    ):
        raise ObjectNotFound(
            "The database does not hold the whole text either. Request the transcription again "
            "with force to redo it."
        )
    return Transcript(
        id=row.id,
        media_id=row.media_id,
        task=row.options.task,
        language=row.language,
        language_probability=row.language_probability,
        duration_s=row.duration_s,
        speech_s=row.speech_s,
        segments=tuple(segments),
        dropped=(),
        # The database does not keep the order of JSON fields.
        provenance=replace(row.provenance, options=row.options.to_dict()),
    ).to_json()
