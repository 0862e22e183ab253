"""ChannelIntake: pages of a channel's list become item rows and transcription requests."""

from collections.abc import Sequence
from dataclasses import replace

import dagster as dg
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.channels.items import IntakeResult, judge_of, write_items
from resources.channels.rows import CHANNEL_FIELD, ChannelRow, channel_row, source_columns
from resources.channels.runs import claimed_channel
from resources.postgres.connection import Postgres
from resources.postgres.jsonb import clean
from resources.telemetry.spans import traced
from resources.transcriptions.intake import enqueue_requests
from resources.transcriptions.quotas import limits_of, within_limits
from resources.transcriptions.rows import Submission, TranscriptionRequest
from ytcaption.domain.caller import Caller, Limits
from ytcaption.domain.channels.channel import ChannelSource, ListedItem, ListingPage
from ytcaption.domain.channels.filters import MISSING
from ytcaption.domain.errors import LiveNotOver
from ytcaption.domain.media.media import MediaSource
from ytcaption.settings.settings import load_settings

BATCH_SIZE = 200
"""Maximum requests per transaction, whose locks block others."""

# A feed shows its latest items only: older items that it omits are not missing. An empty list
# marks nothing, since usually the source has failed.
_MARK_MISSING = """
with seen as (
    select unnest(media_ids) as media_id from ytcaption.channel_page where channel_id = %(id)s
), oldest as (
    select max(place) as place from ytcaption.channel_item join seen using (media_id)
    where channel_id = %(id)s
)
update ytcaption.channel_item as item
set state = 'gone', reason = %(missing)s, updated_at = now()
from oldest, ytcaption.channel
where channel.id = %(id)s and item.channel_id = %(id)s
    and item.state not in ('gone', 'erased', 'refused')
    and item.first_seen_at < channel.history_began_at
    and (not %(is_feed)s or item.place < oldest.place)
    and exists (select from seen)
    and not exists (select from seen where seen.media_id = item.media_id)
"""

_NEXT_NEW = """
select item.* from ytcaption.channel_item as item, ytcaption.channel
where channel.id = %(id)s and item.channel_id = %(id)s and item.state = 'new'
order by item.place, item.media_id
limit (
    select greatest(least(%(batch_size)s, max_new - taken), 0)
    from ytcaption.channel where id = %(id)s
)
for update of item
"""

_SET_DECISIONS = """
update ytcaption.channel_item as item
set state = decided.state, reason = decided.reason, transcription_id = decided.transcription_id,
    queued_at = case when decided.state = 'queued' then now() end, updated_at = now()
from jsonb_to_recordset(%(decisions)s) as decided(
    media_id text, state text, reason text, transcription_id text)
where item.channel_id = %(id)s and item.media_id = decided.media_id
"""

# Items announced by a date alone, as in feeds of podcasts, whose date has come.
_RELEASE_PUBLISHED = """
update ytcaption.channel_item set state = 'new', reason = null, updated_at = now()
where channel_id = %s and state = 'waiting' and live is null and published_at <= now()
"""

_KEY_LIMITS = """
select concurrent_transcriptions, audio_minutes_per_day from ytcaption.api_key
where 'key:' || id = %s
"""


class ChannelIntake(dg.ConfigurableResource):
    """Writes pages and requests for the run that holds the channel."""

    postgres: Postgres

    def unknown_items(self, id: str, page: ListingPage) -> list[ListedItem]:
        """Return the page's items that were never seen in this channel."""
        rows = self.postgres.rows(
            "select media_id from ytcaption.channel_item "
            "where channel_id = %(id)s and media_id = any(%(media_ids)s)",
            {"id": id, "media_ids": [item.source.media_id for item in page.items]},
        )
        known = {row["media_id"] for row in rows}
        return [item for item in page.items if item.source.media_id not in known]

    def has_waiting(self, id: str) -> bool:
        """Return whether an item was announced or live when last listed, to be checked again."""
        return bool(
            self.postgres.rows(
                """
                select from ytcaption.channel_item as item
                left join ytcaption.transcription as t on t.id = item.transcription_id
                where item.channel_id = %(id)s and (
                    (item.state = 'waiting' and (item.live is not null or t.id is not null))
                    or (item.state = 'queued' and t.status = 'failed' and t.error_code = %(live)s))
                limit 1
                """,
                {"id": id, "live": LiveNotOver.code},
            )
        )

    def is_held_by_quota(self, id: str) -> bool:
        """Return whether its owner's quotas, not the channel's maximum, hold back new items."""
        return bool(
            self.postgres.rows(
                """
                select from ytcaption.channel
                where id = %(id)s and (max_new is null or taken < max_new) and exists (
                    select from ytcaption.channel_item as item
                    where item.channel_id = channel.id and item.state = 'new')
                """,
                {"id": id},
            )
        )

    def begin_history(self, id: str, run_id: str) -> ChannelRow:
        """Begin to list the whole history, newest first, in this listing and those that follow.

        Raises:
            ClaimLost: the run no longer holds the channel.
        """
        with self.postgres.transaction() as connection:
            claimed_channel(connection, id, run_id)
            begun = connection.execute(
                "update ytcaption.channel set history_next = 0 where id = %s returning *", (id,)
            ).fetchone()
            assert begun is not None
            return channel_row(begun)

    @traced("postgres.take_page")
    def add_page(
        self, id: str, run_id: str, page: ListingPage, *, is_history: bool = False
    ) -> tuple[IntakeResult, ChannelRow]:
        """Write a page's items, enqueue the first wanted ones and advance the history.

        `enqueue_new` enqueues the others.

        Args:
            is_history: the page belongs to the whole history, at its position; otherwise it shows
                the newest items.

        Returns:
            What the page brought, and the channel's present row.

        Raises:
            ClaimLost: the run no longer holds the channel. Nothing was written.
        """
        with self.postgres.transaction() as connection:
            channel = channel_row(claimed_channel(connection, id, run_id))
            result = write_items(connection, channel, page, is_history)
            if is_history:
                result.missing += _advance_history(connection, channel, page)
            if page.state and page.state != channel.feed_state:
                connection.execute(
                    "update ytcaption.channel set feed_state = %s where id = %s",
                    (Jsonb(clean(page.state)), id),
                )
            _update_source(connection, channel, page.channel)
            result.add(_enqueue_batch(connection, channel))
            return result, channel_row(claimed_channel(connection, id, run_id))

    @traced("postgres.take_new")
    def enqueue_new(self, id: str, run_id: str) -> IntakeResult:
        """Enqueue new items of earlier pages, as far as the channel's maximum allows.

        Raises:
            ClaimLost: the run no longer holds the channel.
        """
        result = IntakeResult()
        while True:
            with self.postgres.transaction() as connection:
                channel = channel_row(claimed_channel(connection, id, run_id))
                connection.execute(_RELEASE_PUBLISHED, (id,))
                batch = _enqueue_batch(connection, channel)
            result.add(batch)
            if not batch.queued:
                return result


def _advance_history(
    connection: Connection[DictRow], channel: ChannelRow, page: ListingPage
) -> int:
    """Advance to the next page of the history, or end it; return how many items are missing."""
    id, is_complete = channel.id, page.next_start is None
    is_end = is_complete or judge_of(connection, channel, page.start + 1).has_enough
    _record_page(connection, id, page)
    connection.execute(
        """
        update ytcaption.channel
        set history_next = %(next)s, history_total = coalesce(%(total)s, history_total),
            history_began_at = case when %(start)s = 0 then now() else history_began_at end,
            history_done_at = case when %(is_end)s then now() else history_done_at end
        where id = %(id)s
        """,
        {
            "id": id,
            "start": page.start,
            "next": None if is_end else page.next_start,
            "total": page.start + len(page.items) if is_complete else page.total,
            "is_end": is_end,
        },
    )
    missing = _mark_missing(connection, channel) if is_complete else 0
    if is_end:
        _forget_pages(connection, id)
    return missing


def _record_page(connection: Connection[DictRow], id: str, page: ListingPage) -> None:
    """Keep the ids on a page of the history until its listing ends."""
    if page.start == 0:
        _forget_pages(connection, id)
    connection.execute(
        """
        insert into ytcaption.channel_page as known (channel_id, start, media_ids)
        values (%s, %s, %s)
        on conflict (channel_id, start) do update set media_ids = excluded.media_ids
        """,
        (id, page.start, [item.source.media_id for item in page.items]),
    )


def _mark_missing(connection: Connection[DictRow], channel: ChannelRow) -> int:
    """Mark items seen before this listing of the history that are on none of its pages.

    Returns:
        How many were marked.
    """
    return connection.execute(
        _MARK_MISSING,
        {"id": channel.id, "missing": MISSING, "is_feed": channel.source.kind == "feed"},
    ).rowcount


def _forget_pages(connection: Connection[DictRow], id: str) -> None:
    connection.execute("delete from ytcaption.channel_page where channel_id = %s", (id,))


def _update_source(
    connection: Connection[DictRow], channel: ChannelRow, listed: ChannelSource
) -> None:
    """Store what the source says about itself, except its id, which stays the channel's."""
    source = replace(
        channel.source,
        kind=listed.kind,
        url=clean(listed.url),
        extractor=listed.extractor or channel.source.extractor,
        feed_url=listed.feed_url,
        title=clean(listed.title) or channel.source.title,
    )
    if source == channel.source:
        return
    connection.execute(
        """
        update ytcaption.channel
        set kind = %(kind)s, url = %(url)s, extractor = %(extractor)s, feed_url = %(feed_url)s,
            title = %(title)s, site = %(site)s, updated_at = now()
        where id = %(id)s
        """,
        source_columns(source) | {"id": channel.id},
    )


def _enqueue_batch(connection: Connection[DictRow], channel: ChannelRow) -> IntakeResult:
    """Enqueue the newest new items: at most `BATCH_SIZE`, the channel's maximum and the quotas.

    Items of several channels of one owner share their transcription.

    Args:
        channel: locked by the caller's transaction.
    """
    values = {"id": channel.id, "batch_size": BATCH_SIZE}
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
    requests = _within_quota(connection, requests, channel.owner)
    result, decisions = IntakeResult(), []
    answers = enqueue_requests(connection, requests, channel.owner)
    for request, answer in zip(requests, answers, strict=True):
        decision = {"state": "queued", "reason": None, "transcription_id": request.id}
        if isinstance(answer, Submission):
            result.queued += 1
            result.shared += not answer.created
        else:
            decision = {"state": "refused", "reason": answer.code, "transcription_id": None}
        decisions.append({"media_id": request.source.media_id} | decision)
    if decisions:
        connection.execute(_SET_DECISIONS, {"id": channel.id, "decisions": Jsonb(decisions)})
        connection.execute(
            "update ytcaption.channel set taken = taken + %s where id = %s",
            (len(decisions), channel.id),
        )
    return result


def _within_quota(
    connection: Connection[DictRow], requests: Sequence[TranscriptionRequest], owner: str
) -> list[TranscriptionRequest]:
    """Return the requests that the owner's quotas allow now; the others wait for a later listing.

    A key's quotas apply to its channels, too.
    """
    row = connection.execute(_KEY_LIMITS, (owner,)).fetchone()
    own = Limits() if row is None else Limits(None, **row)
    limits = limits_of(Caller(owner, frozenset(), own), load_settings())
    if limits is None:
        return list(requests)
    answers = within_limits(connection, requests, owner, limits)
    return [each for each in answers if isinstance(each, TranscriptionRequest)]
