"""Asking, reading and waiting, on every Postgres that is here."""

import pytest

from resources.request_store import RequestStore
from tests.postgres_servers import SERVERS
from ytcaption_assets.domain.media import MediaSource
from ytcaption_assets.domain.request import TranscriptionOptions

pytestmark = pytest.mark.parametrize("database_server", SERVERS, indirect=True)

SOURCE = MediaSource("youtube-abc", "site", "https://www.youtube.com/watch?v=abc", "Youtube")
OPTIONS = TranscriptionOptions("base")


def test_equal_requests_share_a_transcription(request_store: RequestStore):
    """Two equal requests are two requests of one transcription."""
    first = request_store.submit(SOURCE, OPTIONS)
    second = request_store.submit(SOURCE, OPTIONS)
    assert (first.created, second.created) == (True, False)
    assert first.request_id != second.request_id
    assert first.transcription.id == second.transcription.id
