"""What the owner of a channel may still take: a key's quotas hold for its channels, too."""

from collections.abc import Sequence

from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.channels.items import IntakeResult
from resources.channels.rows import ChannelRow
from resources.transcriptions.intake import enqueue_requests
from resources.transcriptions.quotas import limits_of, within_limits
from resources.transcriptions.rows import Submission, TranscriptionRequest
from ytcaption.domain.caller import Caller, Limits
from ytcaption.domain.media.media import MediaSource
from ytcaption.settings import load_settings

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


CHANNEL_FIELD = "channel"
"""Of a request's metadata: the channel that asked."""

AT_ONCE = 200
"""Requests of one transaction, at most: others wait for its locks no longer."""

_NEXT_NEW = """
select item.* from ytcaption.channel_item as item, ytcaption.channel
where channel.id = %(id)s and item.channel_id = %(id)s and item.state = 'new'
order by item.place, item.media_id
limit (
    select greatest(least(%(at_once)s, max_new - taken), 0) from ytcaption.channel where id = %(id)s
)
for update of item
"""

_TAKEN = """
update ytcaption.channel_item as item
set state = taken.state, reason = taken.reason, transcription_id = taken.transcription_id,
    queued_at = case when taken.state = 'queued' then now() end, updated_at = now()
from jsonb_to_recordset(%(taken)s) as taken(
    media_id text, state text, reason text, transcription_id text)
where item.channel_id = %(id)s and item.media_id = taken.media_id
"""

# Announced by its date alone, as in feeds of podcasts; and that date has come.
_COME = """
update ytcaption.channel_item set state = 'new', reason = null, updated_at = now()
where channel_id = %s and state = 'waiting' and live is null and published_at <= now()
"""


def let_come(connection: Connection[DictRow], id: str) -> None:
    """What was announced for a date is to be taken from then on."""
    connection.execute(_COME, (id,))


def submit_new(connection: Connection[DictRow], channel: ChannelRow) -> IntakeResult:
    """Ask for the newest that are to be taken, at most `AT_ONCE` and as far as the channel's
    maximum and its owner's quotas go. Items of several channels of one owner share their
    transcription.

    Args:
        channel: held by the caller's transaction.
    """
    values = {"id": channel.id, "at_once": AT_ONCE}
    rows = connection.execute(_NEXT_NEW, values).fetchall()
    if not rows:
        return IntakeResult()
    plan = channel.plan
    requests = [
        TranscriptionRequest(
            MediaSource(**{name: row[name] for name in MediaSource.__dataclass_fields__}),
            plan.options,
            plan.priority,
            metadata={CHANNEL_FIELD: channel.id},
            callback=plan.callback,
        )
        for row in rows
    ]
    requests = within_quota(connection, requests, channel.owner)
    taken, written = IntakeResult(), []
    answers = enqueue_requests(connection, requests, channel.owner)
    for request, answer in zip(requests, answers, strict=True):
        decided = {"state": "queued", "reason": None, "transcription_id": request.id}
        if isinstance(answer, Submission):
            taken.queued += 1
            taken.shared += not answer.created
        else:
            decided = {"state": "refused", "reason": answer.code, "transcription_id": None}
        written.append({"media_id": request.source.media_id} | decided)
    if written:
        connection.execute(_TAKEN, {"id": channel.id, "taken": Jsonb(written)})
        connection.execute(
            "update ytcaption.channel set taken = taken + %s where id = %s",
            (len(written), channel.id),
        )
    return taken
