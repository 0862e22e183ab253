"""What routes are given: the installation's parts, opened and closed with the app."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request

from api.analytics import Analytics
from api.channels import CallersChannels
from api.endings import CallersEndings
from api.identity import Door
from api.openai_audio import OpenAIAudio
from api.operating import Operating
from api.readiness import Readiness
from api.submission import Submitter
from api.upload_intake import UploadIntake
from api.watch import Watcher
from resources.api_keys import ApiKeys
from resources.channel_store import ChannelStore
from resources.deliveries import Deliveries
from resources.object_store import ObjectStore
from resources.request_store import RequestStore
from resources.search import Search
from resources.webhooks import Webhooks
from ytcaption_assets.domain.caller import Caller, Scope
from ytcaption_assets.domain.errors import Forbidden, Unauthenticated
from ytcaption_assets.settings import Settings


class Parts(NamedTuple):
    """Everything a route may need."""

    settings: Settings
    request_store: RequestStore
    object_store: ObjectStore
    readiness: Readiness
    api_keys: ApiKeys
    webhooks: Webhooks
    deliveries: Deliveries
    door: Door
    watcher: Watcher
    submitter: Submitter
    uploads: UploadIntake
    openai_audio: OpenAIAudio
    operating: Operating
    endings: CallersEndings
    analytics: Analytics
    channels: CallersChannels
    channel_store: ChannelStore
    search: Search


def _part(name: str) -> Any:
    # A coroutine, since FastAPI runs each dependency that is none in a thread of its own; and flat,
    # since it solves those of each anew.
    async def part(request: Request) -> Any:
        return getattr(request.app.state.parts, name)

    return Depends(part)


SettingsDep = Annotated[Settings, _part("settings")]
RequestStoreDep = Annotated[RequestStore, _part("request_store")]
ObjectStoreDep = Annotated[ObjectStore, _part("object_store")]
ReadinessDep = Annotated[Readiness, _part("readiness")]
ApiKeysDep = Annotated[ApiKeys, _part("api_keys")]
WebhooksDep = Annotated[Webhooks, _part("webhooks")]
DeliveriesDep = Annotated[Deliveries, _part("deliveries")]
DoorDep = Annotated[Door, _part("door")]
WatcherDep = Annotated[Watcher, _part("watcher")]
SubmitterDep = Annotated[Submitter, _part("submitter")]
UploadIntakeDep = Annotated[UploadIntake, _part("uploads")]
OpenAIAudioDep = Annotated[OpenAIAudio, _part("openai_audio")]
OperatingDep = Annotated[Operating, _part("operating")]
ChannelsDep = Annotated[CallersChannels, _part("channels")]
ChannelStoreDep = Annotated[ChannelStore, _part("channel_store")]
EndingsDep = Annotated[CallersEndings, _part("endings")]
AnalyticsDep = Annotated[Analytics, _part("analytics")]
SearchDep = Annotated[Search, _part("search")]


async def _caller(request: Request) -> Caller:
    """Who asks, as `api.identity` found out before any route."""
    caller = request.scope.get("ytcaption.caller")
    if caller is None:  # a path that is open to all must not lead to a route that is not
        raise Unauthenticated("This needs a key. Send it as `Authorization: Bearer <key>`.")
    return caller


def _with_scope(scope: Scope) -> Callable[[Caller], Awaitable[Caller]]:
    async def checked(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
        if not caller.may(scope):
            raise Forbidden(f"This needs a key with the scope {scope}.")
        return caller

    return checked


Reader = Annotated[Caller, Depends(_with_scope("read"))]
Writer = Annotated[Caller, Depends(_with_scope("write"))]
Admin = Annotated[Caller, Depends(_with_scope("admin"))]


async def _place(request: Request, caller: Reader, watcher: WatcherDep) -> AsyncIterator[None]:
    if request.scope.get("ytcaption.is_head"):
        yield
        return
    with watcher.place(caller):
        yield


HOLDS_A_PLACE = Depends(_place)
"""Of a route that may take long: one of the streams and long polls that a caller may have open."""
