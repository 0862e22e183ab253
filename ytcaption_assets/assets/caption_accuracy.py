"""How exact what was heard is, beside captions that people made for the same media."""

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
    """A transcript that was heard, and how exact it is."""

    transcript: Transcript
    accuracy: CaptionAccuracy


def measured(
    postgres: Postgres, objects: ObjectStore, transcript: Transcript, document_sha256: str
) -> list[Measured]:
    """What can be measured now that this transcript is there: itself where it was heard, else the
    versions of its media that were; empty where there is nothing to measure by.

    Args:
        document_sha256: of the transcript's document.

    Raises:
        DatabaseUnavailable: it is not known what else there is.
    """
    if transcript.task != "transcribe" or transcript.language is None:
        return []
    made = transcript.provenance
    if made.source == "asr":
        found = _reference(postgres, objects, transcript)
        if found is None:
            return []
        return [_measured(transcript, document_sha256, *found)]
    if made.source != "manual_captions" or (made.captions or {}).get("kind") == "translated":
        return []
    return [
        _measured(heard, sha256, transcript.text, "transcription")
        for heard, sha256 in _versions(postgres, objects, transcript, "asr")
    ]


def _measured(
    heard: Transcript, document_sha256: str, reference: str, kind: ReferenceKind
) -> Measured:
    errors = word_errors(heard.language, reference, heard.text)
    return Measured(heard, CaptionAccuracy(document_sha256, kind, errors, datetime.now(UTC)))


def _reference(
    postgres: Postgres, objects: ObjectStore, transcript: Transcript
) -> tuple[str, ReferenceKind] | None:
    """The text of captions in the language that is spoken."""
    for version, _ in _versions(postgres, objects, transcript, "manual_captions"):
        if version.text.strip():
            return version.text, "transcription"
    kept = stored_reference(postgres, transcript.media_id)
    if kept is None or kept.language != transcript.language:
        return None
    try:
        segments = kept.track.segments("manual")
    except ValueError:
        return None  # whoever fetched it could read it: of another version of ours
    return ("\n".join(segment.text for segment in segments), "track") if segments else None


def _versions(
    postgres: Postgres, objects: ObjectStore, transcript: Transcript, source: str
) -> Sequence[tuple[Transcript, str]]:
    """Documents of other versions, with their SHA-256; what cannot be read is left out: it is not
    what this transcript is made of."""
    assert transcript.language is not None
    found = []
    for version in other_versions(
        postgres, transcript.id, transcript.media_id, transcript.language, source
    ):
        try:
            document = objects.read_bytes(version.document_key, version.document_sha256)
            found.append((Transcript.from_json(document), version.document_sha256))
        except (StorageError, ValueError):
            continue
    return found
