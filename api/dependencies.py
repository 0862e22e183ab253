"""What routes are given: the installation's parts, opened and closed with the app."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Request

from resources.auth.api_keys import ApiKeys
from resources.object_store.store import ObjectStore
from resources.postgres.connection import Postgres
from ytcaption.domain.caller import Caller, Scope
from ytcaption.domain.errors import Forbidden, Unauthenticated
from ytcaption.settings import Settings


def _part(name: str) -> Any:
    # A coroutine, since FastAPI runs each dependency that is none in a thread of its own; and flat,
    # since it solves those of each anew.
    async def part(request: Request) -> Any:
        return getattr(request.app.state.parts, name)

    return Depends(part)


SettingsDep = Annotated[Settings, _part("settings")]
PostgresDep = Annotated[Postgres, _part("postgres")]
ObjectStoreDep = Annotated[ObjectStore, _part("object_store")]
ApiKeysDep = Annotated[ApiKeys, _part("api_keys")]


async def _caller(request: Request) -> Caller:
    """Who asks, as `api.auth.identity` found out before any route."""
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
