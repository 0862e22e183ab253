"""Dependencies."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request

from api.dependencies import Reader, _part
from api.transcriptions.actions import CallerActions
from api.transcriptions.pauses import Operating
from api.transcriptions.submission import Submitter
from api.transcriptions.watch import Watcher

WatcherDep = Annotated[Watcher, _part("watcher")]


SubmitterDep = Annotated[Submitter, _part("submitter")]


ActionsDep = Annotated[CallerActions, _part("endings")]


OperatingDep = Annotated[Operating, _part("operating")]


async def _place(request: Request, caller: Reader, watcher: WatcherDep) -> AsyncIterator[None]:
    if request.scope.get("ytcaption.is_head"):
        yield
        return
    with watcher.place(caller):
        yield


HOLDS_STREAM_SLOT = Depends(_place)
"""Of a route that may take long: one of the streams and long polls that a caller may have open."""
