"""Channels: subscribing to all that a source publishes."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response

from api.channels.dependencies import ChannelsDep, ChannelStoreDep
from api.channels.examples import (
    BUSY,
    CHANGE,
    CHANGE_REFUSED,
    CHANNEL,
    CREATE,
    CREATE_REFUSED,
    DRY_RUN,
    DRY_RUN_REFUSED,
    ITEMS,
    NOT_FOUND,
    PAGE,
)
from api.channels.items import ItemPlaceDep, item_page
from api.channels.schemas import ChannelChange, ChannelCreate
from api.channels.service import ChannelDetail
from api.channels.view import CHANNELS_PATH, ChannelItemPage, ChannelPage, ChannelRead, DryRunRead
from api.dependencies import Reader, Writer
from api.http.cursors import next_page
from api.responses import (
    BODY_ERRORS,
    DATABASE_UNAVAILABLE,
    LINK_HEADER,
    LIST_ERRORS,
    LOCATION_HEADER,
    shown,
)
from api.transcriptions.dependencies import HOLDS_STREAM_SLOT
from api.transcriptions.list_parameters import Limit, PositionDep, cursor_of
from resources.channels.dry_run import MAX_ITEMS
from resources.channels.store import ChannelPosition
from resources.transcriptions.listing import Position
from ytcaption.domain.channels.filters import ItemState
from ytcaption.domain.errors import ChannelNotFound
from ytcaption.domain.request import is_partition_key

router = APIRouter(prefix=CHANNELS_PATH, tags=["channels"])

_NO_STORE = {"Cache-Control": "no-store"}


async def _channel_id(
    id: Annotated[
        str,
        Path(
            description="As it was answered: `<source>.<26 characters>`.",
            examples=[CHANNEL["id"]],
        ),
    ],
) -> str:
    """An id that can exist, of the same alphabet as a transcription's; no other is looked up."""
    if not is_partition_key(id):
        raise ChannelNotFound("There is no such channel.")
    return id


ChannelId = Annotated[str, Depends(_channel_id)]


def _read(request: Request, response: Response, detail: ChannelDetail) -> ChannelRead:
    response.headers.update(_NO_STORE)
    return ChannelRead.of(request, *detail)


@router.post(
    "",
    status_code=201,
    operation_id="createChannel",
    summary="Subscribe to a channel",
    response_description="Known from now on, and looked at within seconds.",
    responses=shown(201, CHANNEL, headers=LOCATION_HEADER)
    | shown(
        200,
        CHANNEL,
        model=ChannelRead,
        description="You have this channel already; it stays as it is.",
    )
    | BODY_ERRORS
    | BUSY
    | CREATE_REFUSED
    | DATABASE_UNAVAILABLE,
)
def create_channel(
    request: Request,
    response: Response,
    asked: Annotated[ChannelCreate, Body(openapi_examples=CREATE)],
    caller: Writer,
    channels: ChannelsDep,
) -> ChannelRead:
    """Everything in it, and everything that comes, is transcribed, without anybody asking.

    The same source again, in whatever form of its link, is the same channel: it is answered with
    200 and stays as it is.
    """
    detail, created = channels.create(caller, asked)
    read = _read(request, response, detail)
    response.status_code = 201 if created else 200
    response.headers["Location"] = read.channel_url
    return read


@router.get(
    "",
    operation_id="listChannels",
    summary="Your channels, those added last first",
    responses=shown(200, PAGE, headers=LINK_HEADER) | LIST_ERRORS | DATABASE_UNAVAILABLE,
)
def list_channels(
    request: Request,
    response: Response,
    caller: Reader,
    channels: ChannelsDep,
    after: PositionDep,
    limit: Limit = 50,
) -> ChannelPage:
    """Page by page: `next_url` leads to the next one. An admin's list is everybody's."""
    details = channels.page(caller, ChannelPosition(*after) if after else None, limit + 1)
    cursor = url = None
    if len(details) > limit:
        last = details[limit - 1].row
        cursor = cursor_of(Position(last.created_at, last.id))
        url = next_page(request, response, CHANNELS_PATH, cursor)
    items = [_read(request, response, detail) for detail in details[:limit]]
    response.headers.update(_NO_STORE)
    return ChannelPage(items=items, next_cursor=cursor, next_url=url)


@router.post(
    "/dry-run",
    operation_id="dryRunChannel",
    summary="See what a channel would take",
    responses=shown(200, DRY_RUN) | BODY_ERRORS | DRY_RUN_REFUSED | DATABASE_UNAVAILABLE,
    dependencies=[HOLDS_STREAM_SLOT],
)
def dry_run_channel(
    response: Response,
    asked: Annotated[ChannelCreate, Body(openapi_examples=CREATE)],
    caller: Writer,
    channels: ChannelsDep,
    items: Annotated[
        int, Query(ge=1, le=MAX_ITEMS, description="Most items looked at, the newest ones.")
    ] = 50,
) -> DryRunRead:
    """Lists it right now, for half a minute at most, and says what would be taken and what left
    out, with the reason. Nothing is kept, neither channel nor items."""
    response.headers.update(_NO_STORE)
    return DryRunRead.of(channels.dry_run(asked, items))


@router.get(
    "/{id}",
    operation_id="getChannel",
    summary="Where a channel stands",
    responses=shown(200, CHANNEL) | NOT_FOUND | DATABASE_UNAVAILABLE,
)
def read_channel(
    id: ChannelId, request: Request, response: Response, caller: Reader, channels: ChannelsDep
) -> ChannelRead:
    """What is wanted of it, when it was and will be looked at, what went wrong, how many of its
    items are in which state."""
    return _read(request, response, channels.get(caller, id))


@router.patch(
    "/{id}",
    operation_id="changeChannel",
    summary="Change, pause or resume a channel",
    responses=shown(200, CHANNEL) | BODY_ERRORS | NOT_FOUND | CHANGE_REFUSED | DATABASE_UNAVAILABLE,
)
def change_channel(
    id: ChannelId,
    request: Request,
    response: Response,
    asked: Annotated[ChannelChange, Body(openapi_examples=CHANGE)],
    caller: Writer,
    channels: ChannelsDep,
) -> ChannelRead:
    """What is left out stays. What is asked for already is not asked for anew: other options are
    those of the items to come, and other filters are applied to all that is not taken."""
    return _read(request, response, channels.change(caller, id, asked))


@router.delete(
    "/{id}",
    status_code=204,
    operation_id="deleteChannel",
    summary="Leave a channel",
    responses={204: {"description": "Gone, with the list of its items."}}
    | NOT_FOUND
    | CHANGE_REFUSED
    | DATABASE_UNAVAILABLE,
)
def delete_channel(
    id: ChannelId,
    caller: Writer,
    channels: ChannelsDep,
    transcriptions: Annotated[
        bool,
        Query(description="True: those of its items are erased, too, as far as you alone asked."),
    ] = False,
) -> Response:
    """Nothing of it is taken any more. Its transcriptions stay unless you say otherwise."""
    channels.delete(caller, id, with_transcriptions=transcriptions)
    return Response(status_code=204)


@router.post(
    "/{id}/run",
    status_code=202,
    operation_id="runChannel",
    summary="Have a channel looked at now",
    responses=shown(202, CHANNEL) | NOT_FOUND | DATABASE_UNAVAILABLE,
)
def run_channel(
    id: ChannelId, request: Request, response: Response, caller: Writer, channels: ChannelsDep
) -> ChannelRead:
    """Within seconds, once also where it is paused."""
    return _read(request, response, channels.run_now(caller, id))


@router.get(
    "/{id}/items",
    operation_id="listChannelItems",
    summary="What a channel's list shows, and what became of it",
    responses=shown(200, ITEMS, headers=LINK_HEADER)
    | NOT_FOUND
    | LIST_ERRORS
    | DATABASE_UNAVAILABLE,
)
def list_items(
    id: ChannelId,
    request: Request,
    response: Response,
    caller: Reader,
    channel_store: ChannelStoreDep,
    after: ItemPlaceDep,
    state: Annotated[
        list[ItemState] | None, Query(description="Any of these; may be repeated.")
    ] = None,
    changed: Annotated[
        bool,
        Query(description="True: only those whose audio seems to be another one by now."),
    ] = False,
    limit: Limit = 50,
) -> ChannelItemPage:
    """The newest first, with the transcription of each that was taken, and why others are not."""
    items = channel_store.items(
        id,
        caller.sees_only,
        states=state or (),
        changed=changed,
        after=after,
        limit=limit + 1,
    )
    return item_page(request, response, id, items, limit)
