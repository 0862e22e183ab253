"""Transcript documents: read with what the lake says of their media, and written anew from rows."""

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
    """What the lake's rows are made of; None where there is no such transcription or document.

    Raises:
        StorageError: the document cannot be read, or is not what was written.
        ValueError: it is no transcript of a version that is known.
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
    """The document as Postgres has it: all but the text that was decoded and not believed. Where
    there was none, these are the bytes that were written first.

    Raises:
        ObjectNotFound: the rows have not all of it.
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
            "The database has not all of its text either. Ask for the transcription again with "
            "force to make it anew."
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
        # The database does not keep the order of JSON's fields.
        provenance=replace(row.provenance, options=row.options.to_dict()),
    ).to_json()
