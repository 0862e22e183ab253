"""Accuracy of a transcript, measured by captions that people made for the same media item."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from resources.object_store.store import ObjectStore
from resources.postgres.connection import Postgres
from resources.transcriptions.accuracy import other_versions, stored_reference
from ytcaption.domain.errors import StorageError
from ytcaption.domain.transcripts.accuracy import CaptionAccuracy, ReferenceKind, word_errors
from ytcaption.domain.transcripts.transcript import Transcript


@dataclass(frozen=True)
class Measured:
    """A transcript of audio and its accuracy."""

    transcript: Transcript
    accuracy: CaptionAccuracy


def measured(
    postgres: Postgres, objects: ObjectStore, transcript: Transcript, document_sha256: str
) -> list[Measured]:
    """Return what this transcript makes measurable: itself if it was made of audio; if it was made
    of captions, the versions of its media made of audio. Empty if there is nothing to compare.

    Args:
        document_sha256: of the transcript's document.

    Raises:
        DatabaseUnavailable: the other versions cannot be read.
    """
    if transcript.task != "transcribe" or transcript.language is None:
        return []
    provenance = transcript.provenance
    if provenance.source == "asr":
        reference = _reference(postgres, objects, transcript)
        if reference is None:
            return []
        return [_measured(transcript, document_sha256, *reference)]
    is_translated = (provenance.captions or {}).get("kind") == "translated"
    if provenance.source != "manual_captions" or is_translated:
        return []
    return [
        _measured(version, sha256, transcript.text, "transcription")
        for version, sha256 in _versions(postgres, objects, transcript, "asr")
    ]


def _measured(
    transcript: Transcript, document_sha256: str, reference: str, kind: ReferenceKind
) -> Measured:
    errors = word_errors(transcript.language, reference, transcript.text)
    return Measured(transcript, CaptionAccuracy(document_sha256, kind, errors, datetime.now(UTC)))


def _reference(
    postgres: Postgres, objects: ObjectStore, transcript: Transcript
) -> tuple[str, ReferenceKind] | None:
    """Return text of captions in the spoken language, and its kind."""
    for version, _ in _versions(postgres, objects, transcript, "manual_captions"):
        if version.text.strip():
            return version.text, "transcription"
    reference = stored_reference(postgres, transcript.media_id)
    if reference is None or reference.language != transcript.language:
        return None
    try:
        segments = reference.track.segments("manual")
    except ValueError:
        return None  # stored by another version of ytcaption, which could parse it
    return ("\n".join(segment.text for segment in segments), "track") if segments else None


def _versions(
    postgres: Postgres, objects: ObjectStore, transcript: Transcript, source: str
) -> Sequence[tuple[Transcript, str]]:
    """Return the documents of other versions with their SHA-256; unreadable ones are left out,
    since this transcript does not depend on them."""
    assert transcript.language is not None
    documents = []
    for version in other_versions(
        postgres, transcript.id, transcript.media_id, transcript.language, source
    ):
        try:
            document = objects.read_bytes(version.document_key, version.document_sha256)
            documents.append((Transcript.from_json(document), version.document_sha256))
        except (StorageError, ValueError):
            continue
    return documents
