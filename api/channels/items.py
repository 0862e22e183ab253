"""A page of a channel's items."""

import math
from typing import Annotated

from fastapi import Depends, Request, Response

from api.channels.view import CHANNELS_PATH, ChannelItemPage, ChannelItemRead
from api.http.cursors import CursorParameter, invalid_cursor, next_page, values_of, written
from resources.channels.rows import ChannelItem
from resources.channels.store import ItemPosition


def _place(
    cursor: CursorParameter = None,
) -> ItemPosition | None:
    if cursor is None:
        return None
    match values_of(cursor):
        case [float(place), str(media_id)] if math.isfinite(place):
            if (
                written([place, media_id]) == cursor
                and media_id.isascii()
                and media_id.isprintable()
            ):
                return ItemPosition(place, media_id)
    raise invalid_cursor()


ItemPlaceDep = Annotated[ItemPosition | None, Depends(_place)]


def item_page(
    request: Request, response: Response, id: str, items: list[ChannelItem], limit: int
) -> ChannelItemPage:
    """A page and where the next one is.

    Args:
        items: one more than `limit` where there is a next page.
    """
    cursor = url = None
    if len(items) > limit:
        last = items[limit - 1]
        cursor = written([last.position, last.source.media_id])
        url = next_page(request, response, f"{CHANNELS_PATH}/{id}/items", cursor)
    response.headers["Cache-Control"] = "no-store"
    return ChannelItemPage(
        items=[ChannelItemRead.of(request, item) for item in items[:limit]],
        next_cursor=cursor,
        next_url=url,
    )
