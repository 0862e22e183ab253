"""Rows as they stand, for tests that look at all of them."""

from resources.postgres.connection import Postgres
from resources.transcriptions.listing import transcription_page
from resources.transcriptions.rows import TranscriptionRow


def recent_transcriptions(postgres: Postgres, limit: int = 50) -> list[TranscriptionRow]:
    """Return the newest transcriptions first."""
    return [detail.transcription for detail in transcription_page(postgres, limit=limit)]
