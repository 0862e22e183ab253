"""Accuracy of transcripts: captions to measure them by, and the results."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import DictRow

from resources.postgres.connection import Postgres
from resources.postgres.predicates import is_erased
from resources.transcriptions.state import claimed_row
from ytcaption.domain.captions.track_segments import CaptionReference, CaptionTrack
from ytcaption.domain.transcripts.accuracy import CaptionAccuracy
from ytcaption.domain.transcripts.metrics import WordErrors

MOST_VERSIONS = 20
"""Maximum number of versions of a media item that are measured at once; the newest ones are."""


@dataclass(frozen=True)
class Version:
    """Another completed transcription of the media, in the spoken language.

    Attributes:
        source: `asr` or `manual_captions`.
    """

    id: str
    source: str
    document_key: str
    document_sha256: str


def store_reference(
    connection: Connection[DictRow], media_id: str, reference: CaptionReference
) -> None:
    """Store the captions downloaded with a media item's audio, replacing earlier ones."""
    connection.execute(
        """
        insert into ytcaption.caption_reference (media_id, language, extension, track)
        values (%(media_id)s, %(language)s, %(extension)s, %(data)s)
        on conflict (media_id) do update
        set language = excluded.language, extension = excluded.extension, track = excluded.track,
            saved_at = now()
        """,
        {
            "media_id": media_id,
            "language": reference.language,
            "extension": reference.track.extension,
            "data": reference.track.data,
        },
    )


def delete_reference(connection: Connection[DictRow], media_id: str) -> None:
    """Delete the captions that were downloaded with the media's audio."""
    connection.execute("delete from ytcaption.caption_reference where media_id = %s", (media_id,))


def stored_reference(postgres: Postgres, media_id: str) -> CaptionReference | None:
    """Return the captions downloaded with the media's audio, if any.

    Raises:
        DatabaseUnavailable: they cannot be read.
    """
    rows = postgres.rows(
        "select language, extension, track from ytcaption.caption_reference "
        "where media_id = %(id)s",
        {"id": media_id},
    )
    if not rows:
        return None
    [row] = rows
    return CaptionReference(row["language"], CaptionTrack(row["extension"], bytes(row["track"])))


def other_versions(
    postgres: Postgres, id: str, media_id: str, language: str, source: str
) -> Sequence[Version]:
    """Return the other completed transcriptions of a media item in the spoken language, the newest
    first. Translated captions are left out.

    Args:
        source: `asr` or `manual_captions`.

    Raises:
        DatabaseUnavailable: they cannot be read.
    """
    rows = postgres.rows(
        f"""
        select id, provenance ->> 'source' as source, document_key, document_sha256
        from ytcaption.transcription t
        where media_id = %(media_id)s and id <> %(id)s and status = 'completed'
            and language = %(language)s and provenance ->> 'source' = %(source)s
            and options ->> 'task' = 'transcribe'
            and coalesce(provenance -> 'captions' ->> 'kind', '') <> 'translated'
            and not {is_erased("t.id")}
        order by completed_at desc, id limit %(most)s
        """,  # noqa: S608
        {
            "id": id,
            "media_id": media_id,
            "language": language,
            "source": source,
            "most": MOST_VERSIONS,
        },
    )
    return [Version(**row) for row in rows]


def store_accuracy(
    postgres: Postgres, id: str, accuracy: CaptionAccuracy, run_id: str | None = None
) -> None:
    """Store the accuracy of a transcript, replacing an earlier measurement. Does nothing if the
    transcription has another document by now.

    Args:
        run_id: the run that holds the transcription; None: no run does, it is finished.

    Raises:
        ClaimLost: the transcription is no longer this run's.
        DatabaseUnavailable: nothing was stored.
    """
    with postgres.transaction() as connection:
        if run_id is not None:
            claimed_row(connection, id, run_id)
        connection.execute(
            f"""
            insert into ytcaption.caption_accuracy (
                transcription_id, document_sha256, reference_kind, hits, substitutions, deletions,
                insertions, measured_at)
            select id, document_sha256, %(kind)s, %(hits)s, %(substitutions)s, %(deletions)s,
                %(insertions)s, %(measured_at)s
            from ytcaption.transcription t
            where id = %(id)s and document_sha256 = %(sha256)s and not {is_erased("t.id")}
            for share
            on conflict (transcription_id) do update
            set document_sha256 = excluded.document_sha256,
                reference_kind = excluded.reference_kind, hits = excluded.hits,
                substitutions = excluded.substitutions, deletions = excluded.deletions,
                insertions = excluded.insertions, measured_at = excluded.measured_at
            """,  # noqa: S608
            {
                **accuracy.errors.__dict__,
                "id": id,
                "kind": accuracy.reference_kind,
                "sha256": accuracy.document_sha256,
                "measured_at": accuracy.measured_at,
            },
        )


def stored_accuracy(
    postgres: Postgres, id: str, document_sha256: str | None
) -> CaptionAccuracy | None:
    """Return the accuracy measured for this document, if any.

    Raises:
        DatabaseUnavailable: it cannot be read.
    """
    rows = postgres.rows(
        "select * from ytcaption.caption_accuracy "
        "where transcription_id = %(id)s and document_sha256 = %(sha256)s",
        {"id": id, "sha256": document_sha256},
    )
    if not rows:
        return None
    [row] = rows
    return CaptionAccuracy(
        document_sha256=row["document_sha256"],
        reference_kind=row["reference_kind"],
        errors=WordErrors(**{name: row[name] for name in WordErrors.__dataclass_fields__}),
        measured_at=row["measured_at"],
    )
