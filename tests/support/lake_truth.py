"""Completed transcriptions: rows in Postgres, a document, and rows in the lake."""

from resources.lake.catalog import TranscriptCatalog
from resources.lake.documents import stored_document
from resources.object_store.store import ObjectStore, document_key
from resources.transcriptions.run_store import RunStore
from resources.transcriptions.store import RequestStore
from tests.support.lake_documents import make_document
from ytcaption.domain.media.media import StoredAudio
from ytcaption.domain.request import TranscriptionOptions


def complete(
    store: RequestStore,
    objects: ObjectStore,
    catalog: TranscriptCatalog | None,
    name: str,
    *,
    owner: str = "local",
    processing_s: float | None = 3.0,
    **values: object,
) -> str:
    """Run a transcription to its end, or redo it; return its id.

    Args:
        catalog: None: the run dies before it writes to the lake; the transcription is completed
            all the same.
    """
    document = make_document(name, **values)  # pyright: ignore[reportArgumentType]
    transcript, source, info = document[:3]
    options = TranscriptionOptions(transcript.provenance.model)
    row = store.submit(source, options, owner=owner, force=True).transcription
    run_id = f"run-{row.attempt}"
    RunStore(postgres=store.postgres).claim(row.id, run_id, row.attempt)
    audio = StoredAudio(f"audio/{name}.m4a", "cd" * 32, 10, 15.0, "aac", "mov", 44100, 2)
    RunStore(postgres=store.postgres).audio_stored(row.id, run_id, info, audio)
    key = document_key(row.id)
    written = objects.write_bytes(key, transcript.to_json())
    RunStore(postgres=store.postgres).transcript_stored(
        row.id, run_id, transcript, key, written.sha256, processing_s
    )
    if catalog is not None:
        stored = stored_document(store.postgres, objects, row.id)
        assert stored is not None
        catalog.append(*stored)
    RunStore(postgres=store.postgres).complete(row.id, run_id)
    return row.id
