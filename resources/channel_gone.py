"""What a listing of the whole history no longer shows."""

from psycopg import Connection
from psycopg.rows import DictRow

from resources.channel_rows import ChannelRow
from ytcaption_assets.domain.channel import ListingPage
from ytcaption_assets.domain.channel_filters import MISSING

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


def note_page(connection: Connection[DictRow], id: str, page: ListingPage) -> None:
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
