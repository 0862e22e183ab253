"""Counts and ids of what the lake holds, read on the trusted connection."""

from resources.lake.catalog import TranscriptCatalog
from resources.lake.maintenance import media_id_of
from ytcaption.domain.transcripts.lake_schema import TABLES


def row_counts(catalog: TranscriptCatalog, id: str) -> dict[str, int]:
    """Return the number of rows of a transcription by table."""
    with catalog._connection.transaction() as cursor:
        counts = {}
        for name, columns in TABLES.items():
            key = media_id_of(id) if name == "media" else id
            counts[name] = cursor.execute(
                f"select count(*) from lake.main.{name} where {columns[0].name} = $key",
                {"key": key},
            ).fetchall()[0][0]
        return counts


def transcript_ids(catalog: TranscriptCatalog) -> set[str]:
    """Return the ids of all transcriptions in the lake."""
    with catalog._connection.cursor() as cursor:
        rows = cursor.execute("select transcription_id from lake.main.transcripts").fetchall()
        return {row[0] for row in rows}
