"""Dependencies that routes of several features share: parts of the app, and the caller."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Request

from api.long_work import LongWork
from resources.auth.api_keys import ApiKeys
from resources.object_store.store import ObjectStore
from resources.postgres.connection import Postgres
from ytcaption.domain.caller import Caller, Scope
from ytcaption.domain.errors import Forbidden, Unauthenticated
from ytcaption.settings.settings import Settings


def part(name: str) -> Any:
    """Return the dependency on one field of `api.parts.Parts`."""

    # A coroutine, because FastAPI runs a plain function on a thread of its own; and without
    # dependencies of its own, because FastAPI would solve those again for each part.
    async def read_part(request: Request) -> Any:
        return getattr(request.app.state.parts, name)

    return Depends(read_part)


SettingsDep = Annotated[Settings, part("settings")]
PostgresDep = Annotated[Postgres, part("postgres")]
ObjectStoreDep = Annotated[ObjectStore, part("object_store")]
LongWorkDep = Annotated[LongWork, part("long_work")]
ApiKeysDep = Annotated[ApiKeys, part("api_keys")]


async def _caller(request: Request) -> Caller:
    """Return the caller that `api.auth.authentication` identified before routing."""
    caller = request.scope.get("ytcaption.caller")
    if caller is None:  # a public path must never lead to a route that needs a caller
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
