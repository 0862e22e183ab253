"""What routes are given: the installation's parts, opened and closed with the app."""

from collections.abc import Awaitable, Callable
from typing import Annotated, NamedTuple

from fastapi import Depends, Request

from api.endings import CallersEndings
from api.identity import Door
from api.openai_audio import OpenAIAudio
from api.operating import Operating
from api.partition_queue import PartitionQueue
from api.readiness import Readiness
from api.submission import Submitter
from api.upload_intake import UploadIntake
from api.watch import Watcher
from resources.api_keys import ApiKeys
from resources.object_store import ObjectStore
from resources.request_store import RequestStore
from ytcaption_assets.domain.caller import Caller, Scope
from ytcaption_assets.domain.errors import Forbidden, Unauthenticated
from ytcaption_assets.settings import Settings


class Parts(NamedTuple):
    """Everything a route may need."""

    settings: Settings
    request_store: RequestStore
    object_store: ObjectStore
    partitions: PartitionQueue
    readiness: Readiness
    api_keys: ApiKeys
    door: Door
    watcher: Watcher
    submitter: Submitter
    uploads: UploadIntake
    openai_audio: OpenAIAudio
    operating: Operating
    endings: CallersEndings


# Coroutines, since FastAPI runs each dependency that is none in a thread of its own; and flat,
# since it solves those of each anew.
async def _settings(request: Request) -> Settings:
    return request.app.state.parts.settings


async def _request_store(request: Request) -> RequestStore:
    return request.app.state.parts.request_store


async def _object_store(request: Request) -> ObjectStore:
    return request.app.state.parts.object_store


async def _partitions(request: Request) -> PartitionQueue:
    return request.app.state.parts.partitions


async def _readiness(request: Request) -> Readiness:
    return request.app.state.parts.readiness


async def _watcher(request: Request) -> Watcher:
    return request.app.state.parts.watcher


async def _submitter(request: Request) -> Submitter:
    return request.app.state.parts.submitter


async def _uploads(request: Request) -> UploadIntake:
    return request.app.state.parts.uploads


async def _openai_audio(request: Request) -> OpenAIAudio:
    return request.app.state.parts.openai_audio


async def _api_keys(request: Request) -> ApiKeys:
    return request.app.state.parts.api_keys


async def _door(request: Request) -> Door:
    return request.app.state.parts.door


async def _endings(request: Request) -> CallersEndings:
    return request.app.state.parts.endings


EndingsDep = Annotated[CallersEndings, Depends(_endings)]
ApiKeysDep = Annotated[ApiKeys, Depends(_api_keys)]
DoorDep = Annotated[Door, Depends(_door)]


async def _operating(request: Request) -> Operating:
    return request.app.state.parts.operating


SettingsDep = Annotated[Settings, Depends(_settings)]
RequestStoreDep = Annotated[RequestStore, Depends(_request_store)]
ObjectStoreDep = Annotated[ObjectStore, Depends(_object_store)]
PartitionsDep = Annotated[PartitionQueue, Depends(_partitions)]
ReadinessDep = Annotated[Readiness, Depends(_readiness)]
WatcherDep = Annotated[Watcher, Depends(_watcher)]
OperatingDep = Annotated[Operating, Depends(_operating)]
SubmitterDep = Annotated[Submitter, Depends(_submitter)]
UploadIntakeDep = Annotated[UploadIntake, Depends(_uploads)]
OpenAIAudioDep = Annotated[OpenAIAudio, Depends(_openai_audio)]


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
