"""What a listing of the whole history no longer shows."""

from dataclasses import replace

import dagster as dg
from psycopg import Connection
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from resources.channels.items import IntakeResult, judge_of, write_items
from resources.channels.requests import let_come, submit_new
from resources.channels.rows import ChannelRow, channel_row, source_columns
from resources.channels.runs import claimed_channel
from resources.postgres.connection import Postgres
from resources.postgres.jsonb import clean
from resources.telemetry.spans import traced
from ytcaption.domain.channels.channel import ChannelSource, ListedItem, ListingPage
from ytcaption.domain.channels.filters import MISSING
from ytcaption.domain.errors import LiveNotOver

# A feed shows its latest items only: the older ones, which it leaves out, are not gone. An empty
# list marks nothing: as a rule the source has failed.
_MARK = """
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


def record_page(connection: Connection[DictRow], id: str, page: ListingPage) -> None:
    """Keep what a page of the history has shown until its listing is at the end."""
    if page.start == 0:
        forget_pages(connection, id)
    connection.execute(
        """
        insert into ytcaption.channel_page as known (channel_id, start, media_ids)
        values (%s, %s, %s)
        on conflict (channel_id, start) do update set media_ids = excluded.media_ids
        """,
        (id, page.start, [item.source.media_id for item in page.items]),
    )


def mark_missing(connection: Connection[DictRow], channel: ChannelRow) -> int:
    """Mark what was seen before this listing of the history began and is on none of its pages; how
    many."""
    return connection.execute(
        _MARK,
        {"id": channel.id, "missing": MISSING, "is_feed": channel.source.kind == "feed"},
    ).rowcount


def forget_pages(connection: Connection[DictRow], id: str) -> None:
    """The listing is at its end, or begins anew."""
    connection.execute("delete from ytcaption.channel_page where channel_id = %s", (id,))


class ChannelIntake(dg.ConfigurableResource):
    """Pages of lists into rows and requests, for the run that holds the channel."""

    postgres: Postgres

    def unknown(self, id: str, page: ListingPage) -> list[ListedItem]:
        """The page's items that were never seen in this channel."""
        rows = self.postgres.rows(
            "select media_id from ytcaption.channel_item "
            "where channel_id = %(id)s and media_id = any(%(media_ids)s)",
            {"id": id, "media_ids": [item.source.media_id for item in page.items]},
        )
        known = {row["media_id"] for row in rows}
        return [item for item in page.items if item.source.media_id not in known]

    def has_waiting(self, id: str) -> bool:
        """Whether some are announced or live, as far as is known, and are to be looked at again."""
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

    def holds_back(self, id: str) -> bool:
        """Whether some are to be taken that its maximum would allow: the owner's quotas do not."""
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
        """List its whole history from the newest on, from now and in the looks that follow.

        Raises:
            ClaimLost: the channel is no longer this run's.
        """
        with self.postgres.transaction() as connection:
            claimed_channel(connection, id, run_id)
            begun = connection.execute(
                "update ytcaption.channel set history_next = 0 where id = %s returning *", (id,)
            ).fetchone()
            assert begun is not None
            return channel_row(begun)

    @traced("postgres.take_page")
    def take_page(
        self, id: str, run_id: str, page: ListingPage, *, is_history: bool = False
    ) -> tuple[IntakeResult, ChannelRow]:
        """Write a page's items, ask for those wanted, as far as the channel's maximum goes, and
        move on. What is left is for `take_new`.

        Args:
            is_history: the page is of the listing of the whole history, at its place; else of the
                newest items.

        Returns:
            What came of it, and the channel as it stands now.

        Raises:
            ClaimLost: the channel is no longer this run's. Nothing was written.
        """
        with self.postgres.transaction() as connection:
            channel = channel_row(claimed_channel(connection, id, run_id))
            taken = write_items(connection, channel, page, is_history)
            if is_history:
                taken.gone += _move_on(connection, channel, page)
            if page.state and page.state != channel.feed_state:
                connection.execute(
                    "update ytcaption.channel set feed_state = %s where id = %s",
                    (Jsonb(clean(page.state)), id),
                )
            _describe(connection, channel, page.channel)
            taken.add(submit_new(connection, channel))
            return taken, channel_row(claimed_channel(connection, id, run_id))

    @traced("postgres.take_new")
    def take_new(self, id: str, run_id: str) -> IntakeResult:
        """Ask for what looks have left, as far as the channel's maximum goes.

        Raises:
            ClaimLost: the channel is no longer this run's.
        """
        taken = IntakeResult()
        while True:
            with self.postgres.transaction() as connection:
                channel = channel_row(claimed_channel(connection, id, run_id))
                let_come(connection, id)
                some = submit_new(connection, channel)
            taken.add(some)
            if not some.queued:
                return taken


def _move_on(connection: Connection[DictRow], channel: ChannelRow, page: ListingPage) -> int:
    """To the next page of the history, or to its end; how many items are found gone there."""
    id, is_whole = channel.id, page.next_start is None
    is_end = is_whole or judge_of(connection, channel, page.start + 1).has_enough
    record_page(connection, id, page)
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
            "total": page.start + len(page.items) if is_whole else page.total,
            "is_end": is_end,
        },
    )
    gone = mark_missing(connection, channel) if is_whole else 0
    if is_end:
        forget_pages(connection, id)
    return gone


def _describe(connection: Connection[DictRow], channel: ChannelRow, said: ChannelSource) -> None:
    """Keep what the source says of itself. Its id is the channel's own, and stays."""
    source = replace(
        channel.source,
        kind=said.kind,
        url=clean(said.url),
        extractor=said.extractor or channel.source.extractor,
        feed_url=said.feed_url,
        title=clean(said.title) or channel.source.title,
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
