"""Routes of channels: subscribe, list, dry run, read, change, poll, unsubscribe, items."""

import math
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response

from api.channels.examples import (
    CHANNEL,
    CHANNEL_BUSY,
    CHANNEL_NOT_FOUND,
    CREATE_ERRORS,
    CREATE_EXAMPLES,
    DRY_RUN,
    DRY_RUN_ERRORS,
    ITEMS,
    PAGE,
    UPDATE_ERRORS,
    UPDATE_EXAMPLES,
)
from api.channels.schemas import ChannelRequest, ChannelUpdate
from api.channels.service import ChannelDetail, ChannelService
from api.channels.view import (
    CHANNELS_PATH,
    ChannelItem,
    ChannelItemPage,
    ChannelPage,
    ChannelResponse,
    DryRunResponse,
    StateFilter,
    stored_state,
)
from api.dependencies import LongWorkDep, Reader, Writer, part
from api.http.pagination import (
    CursorParameter,
    Limit,
    decode_cursor,
    encode_cursor,
    invalid_cursor,
    paginate,
)
from api.responses import (
    BODY_ERRORS,
    DATABASE_UNAVAILABLE,
    LINK_HEADER,
    LIST_ERRORS,
    LOCATION_HEADER,
    NO_STORE,
    json_example,
)
from api.transcriptions.dependencies import HOLDS_STREAM_SLOT
from api.transcriptions.listing import PositionDep, position_cursor
from resources.channels import rows
from resources.channels.dry_run import MAX_ITEMS
from resources.channels.store import ChannelPosition, ChannelStore, ItemPosition
from resources.transcriptions.listing import Position
from ytcaption.domain.errors import ChannelNotFound
from ytcaption.domain.request import is_partition_key

router = APIRouter(prefix=CHANNELS_PATH, tags=["channels"])

ChannelsDep = Annotated[ChannelService, part("channels")]
ChannelStoreDep = Annotated[ChannelStore, part("channel_store")]


async def _channel_id(
    id: Annotated[
        str,
        Path(
            description="From the response to the subscription: `<source>.<26 characters>`.",
            examples=[CHANNEL["id"]],
        ),
    ],
) -> str:
    """Return the id if one of this form can exist; no other is looked up."""
    if not is_partition_key(id):
        raise ChannelNotFound("There is no such channel.")
    return id


ChannelId = Annotated[str, Depends(_channel_id)]


def _item_position(
    cursor: CursorParameter = None,
) -> ItemPosition | None:
    if cursor is None:
        return None
    match decode_cursor(cursor):
        case [float(position), str(media_id)] if math.isfinite(position):
            if (
                encode_cursor([position, media_id]) == cursor
                and media_id.isascii()
                and media_id.isprintable()
            ):
                return ItemPosition(position, media_id)
    raise invalid_cursor()


def _item_cursor(item: rows.ChannelItem) -> str:
    return encode_cursor([item.position, item.source.media_id])


ItemPositionDep = Annotated[ItemPosition | None, Depends(_item_position)]


def _view(request: Request, response: Response, detail: ChannelDetail) -> ChannelResponse:
    response.headers.update(NO_STORE)
    return ChannelResponse.of(request, *detail)


@router.post(
    "",
    status_code=201,
    operation_id="createChannel",
    summary="Subscribe to a channel",
    response_description="Subscribed; it is polled within seconds.",
    responses=json_example(201, CHANNEL, headers=LOCATION_HEADER)
    | json_example(
        200,
        CHANNEL,
        model=ChannelResponse,
        description="You have this channel already; it is not changed.",
    )
    | BODY_ERRORS
    | CHANNEL_BUSY
    | CREATE_ERRORS
    | DATABASE_UNAVAILABLE,
)
def create_channel(
    request: Request,
    response: Response,
    body: Annotated[ChannelRequest, Body(openapi_examples=CREATE_EXAMPLES)],
    caller: Writer,
    channels: ChannelsDep,
) -> ChannelResponse:
    """Transcribe everything in it, and everything it publishes from now on.

    The same source again, whatever the form of its link, is the same channel: it is answered with
    200 and not changed.
    """
    detail, created = channels.create(caller, body)
    view = _view(request, response, detail)
    response.status_code = 201 if created else 200
    response.headers["Location"] = view.channel_url
    return view


@router.get(
    "",
    operation_id="listChannels",
    summary="List your channels",
    responses=json_example(200, PAGE, headers=LINK_HEADER) | LIST_ERRORS | DATABASE_UNAVAILABLE,
)
def list_channels(
    request: Request,
    response: Response,
    caller: Reader,
    channels: ChannelsDep,
    after: PositionDep,
    limit: Limit = 50,
) -> ChannelPage:
    """Return your channels, the latest added first, page by page: `next_url` leads to the next
    page. An admin sees everybody's."""
    details = channels.page(caller, ChannelPosition(*after) if after else None, limit + 1)
    page = paginate(
        details,
        limit,
        lambda detail: position_cursor(Position(detail.row.created_at, detail.row.id)),
        request=request,
        response=response,
        path=CHANNELS_PATH,
    )
    response.headers.update(NO_STORE)
    return ChannelPage(
        items=[ChannelResponse.of(request, *detail) for detail in page.items],
        next_cursor=page.next_cursor,
        next_url=page.next_url,
    )


@router.post(
    "/dry-run",
    operation_id="dryRunChannel",
    summary="Preview what a channel would transcribe",
    responses=json_example(200, DRY_RUN) | BODY_ERRORS | DRY_RUN_ERRORS | DATABASE_UNAVAILABLE,
    dependencies=[HOLDS_STREAM_SLOT],
)
async def dry_run_channel(
    response: Response,
    body: Annotated[ChannelRequest, Body(openapi_examples=CREATE_EXAMPLES)],
    caller: Writer,
    channels: ChannelsDep,
    long_work: LongWorkDep,
    items: Annotated[
        int, Query(ge=1, le=MAX_ITEMS, description="Maximum items to list, the newest ones.")
    ] = 50,
) -> DryRunResponse:
    """List the source now, for at most half a minute, and return what would be included and what
    excluded, with the reason. Nothing is stored."""
    response.headers.update(NO_STORE)
    result = await long_work.dry_runs.run(caller, partial(channels.dry_run, body, items))
    return DryRunResponse.of(result)


@router.get(
    "/{id}",
    operation_id="getChannel",
    summary="Get a channel",
    responses=json_example(200, CHANNEL) | CHANNEL_NOT_FOUND | DATABASE_UNAVAILABLE,
)
def read_channel(
    id: ChannelId, request: Request, response: Response, caller: Reader, channels: ChannelsDep
) -> ChannelResponse:
    """Return its settings, its last and next poll, its last error, and the number of its items by
    state."""
    return _view(request, response, channels.get(caller, id))


@router.patch(
    "/{id}",
    operation_id="changeChannel",
    summary="Change, pause or resume a channel",
    responses=json_example(200, CHANNEL)
    | BODY_ERRORS
    | CHANNEL_NOT_FOUND
    | UPDATE_ERRORS
    | DATABASE_UNAVAILABLE,
)
def change_channel(
    id: ChannelId,
    request: Request,
    response: Response,
    body: Annotated[ChannelUpdate, Body(openapi_examples=UPDATE_EXAMPLES)],
    caller: Writer,
    channels: ChannelsDep,
) -> ChannelResponse:
    """Change the fields that are sent. Items that were requested already are not requested again:
    new options apply to later items, and new filters to all items not yet requested."""
    return _view(request, response, channels.change(caller, id, body))


@router.delete(
    "/{id}",
    status_code=204,
    operation_id="deleteChannel",
    summary="Unsubscribe from a channel",
    responses={204: {"description": "Removed, with the list of its items."}}
    | CHANNEL_NOT_FOUND
    | UPDATE_ERRORS
    | DATABASE_UNAVAILABLE,
)
def delete_channel(
    id: ChannelId,
    caller: Writer,
    channels: ChannelsDep,
    transcriptions: Annotated[
        bool,
        Query(description="Also erase the transcriptions of its items that only you requested."),
    ] = False,
) -> Response:
    """Stop polling it. Its transcriptions stay unless `transcriptions` is true."""
    channels.delete(caller, id, with_transcriptions=transcriptions)
    return Response(status_code=204)


@router.post(
    "/{id}/run",
    status_code=202,
    operation_id="runChannel",
    summary="Poll a channel now",
    responses=json_example(202, CHANNEL) | CHANNEL_NOT_FOUND | DATABASE_UNAVAILABLE,
)
def run_channel(
    id: ChannelId, request: Request, response: Response, caller: Writer, channels: ChannelsDep
) -> ChannelResponse:
    """Poll it within seconds, once even while it is paused."""
    return _view(request, response, channels.run_now(caller, id))


@router.get(
    "/{id}/items",
    operation_id="listChannelItems",
    summary="List the items of a channel",
    responses=json_example(200, ITEMS, headers=LINK_HEADER)
    | CHANNEL_NOT_FOUND
    | LIST_ERRORS
    | DATABASE_UNAVAILABLE,
)
def list_items(
    id: ChannelId,
    request: Request,
    response: Response,
    caller: Reader,
    channel_store: ChannelStoreDep,
    after: ItemPositionDep,
    state: Annotated[
        list[StateFilter] | None,
        Query(description="Any of these; may be repeated. `gone`: old name of `missing`."),
    ] = None,
    changed: Annotated[
        bool,
        Query(description="Only items whose audio seems to differ from what was transcribed."),
    ] = False,
    limit: Limit = 50,
) -> ChannelItemPage:
    """Return the items, the newest first, each with its transcription or the reason why it has
    none."""
    items = channel_store.items(
        id,
        caller.sees_only,
        states=[stored_state(each) for each in state or ()],
        changed=changed,
        after=after,
        limit=limit + 1,
    )
    page = paginate(
        items,
        limit,
        _item_cursor,
        request=request,
        response=response,
        path=f"{CHANNELS_PATH}/{id}/items",
    )
    response.headers.update(NO_STORE)
    return ChannelItemPage(
        items=[ChannelItem.of(request, item) for item in page.items],
        next_cursor=page.next_cursor,
        next_url=page.next_url,
    )
