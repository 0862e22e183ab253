"""What channels' lists keep of items that are erased: the id, so that none is taken again."""

from typing import LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

_FORGET: LiteralString = """
update ytcaption.channel_item
set state = 'erased', reason = null, url = null, title = null, extractor = null,
    published_at = null, duration_s = null, audio_bytes = null, live = null, change = null,
    changed_at = null, updated_at = now()
"""


def forget_items(connection: Connection[DictRow], transcription_id: str) -> None:
    """Of each item that has become this transcription, in whichever channel."""
    connection.execute(_FORGET + "where transcription_id = %s", (transcription_id,))


def forget_unwanted(connection: Connection[DictRow], media_id: str) -> None:
    """Of each item that is this media, of which no transcription is left, and that nobody waits
    for: what its list showed goes, too. Those still to be taken are somebody's wish."""
    connection.execute(
        _FORGET + "where media_id = %s and transcription_id is null "
        "and state in ('filtered', 'refused', 'gone')",
        (media_id,),
    )
