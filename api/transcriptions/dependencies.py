"""Dependencies of routes that deal with transcriptions."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Path, Request

from api.dependencies import Reader, part
from api.transcriptions.actions import CallerActions
from api.transcriptions.pauses import PauseControl
from api.transcriptions.submission import Submitter
from api.transcriptions.watch import Watcher
from ytcaption.domain.errors import TranscriptionNotFound
from ytcaption.domain.request import is_partition_key

WatcherDep = Annotated[Watcher, part("watcher")]
SubmitterDep = Annotated[Submitter, part("submitter")]
ActionsDep = Annotated[CallerActions, part("actions")]
PauseControlDep = Annotated[PauseControl, part("pause_control")]


async def _transcription_id(
    id: Annotated[
        str,
        Path(
            description="From the response to the request: `<media>.<26 characters>`.",
            examples=["youtube-dQw4w9WgXcQ.k3zt5mxnq7ka2c6vpo4wy2jdhe"],
        ),
    ],
) -> str:
    """Return the id if one of this form can exist; no other is looked up.

    Raises:
        TranscriptionNotFound: `partition_key()` never makes such an id.
    """
    if not is_partition_key(id):
        raise TranscriptionNotFound("There is no such transcription.")
    return id


TranscriptionId = Annotated[str, Depends(_transcription_id)]


async def _stream_slot(
    request: Request, caller: Reader, watcher: WatcherDep
) -> AsyncIterator[None]:
    if request.scope.get("ytcaption.is_head"):
        yield
        return
    with watcher.stream_slot(caller):
        yield


HOLDS_STREAM_SLOT = Depends(_stream_slot)
"""Of a route that may take long: it occupies one of a caller's streams, long polls and uploads."""
