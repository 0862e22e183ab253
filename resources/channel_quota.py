"""What the owner of a channel may still take: a key's quotas hold for its channels, too."""

from collections.abc import Sequence

from psycopg import Connection
from psycopg.rows import DictRow

from resources.request_rows import TranscriptionRequest
from resources.usage import limits_of, within_limits
from ytcaption_assets.domain.caller import Caller, Limits
from ytcaption_assets.settings import load_settings

_OF_KEY = """
select concurrent_transcriptions, audio_minutes_per_day from ytcaption.api_key
where 'key:' || id = %s
"""


def within_quota(
    connection: Connection[DictRow], requests: Sequence[TranscriptionRequest], owner: str
) -> list[TranscriptionRequest]:
    """Those of them that the owner may ask for now; the others are for a later look."""
    row = connection.execute(_OF_KEY, (owner,)).fetchone()
    own = Limits() if row is None else Limits(None, **row)
    limits = limits_of(Caller(owner, frozenset(), own), load_settings())
    if limits is None:
        return list(requests)
    answers = within_limits(connection, requests, owner, limits)
    return [each for each in answers if isinstance(each, TranscriptionRequest)]
