"""Waiting for the end of a transcription inside one GET."""

import time
from collections.abc import Callable

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from api.transcriptions.watch import Watcher
from resources.transcriptions.listing import TranscriptionDetail
from ytcaption.domain.caller import Caller

MAX_RETRY_AFTER_S = 60


async def settled(
    request: Request,
    watcher: Watcher,
    caller: Caller,
    look: Callable[[], TranscriptionDetail],
    wait_s: float,
) -> TranscriptionDetail:
    """The transcription as it stands once nothing more happens, or after `wait_s`.

    Who waits is no thread and no connection; each change of the row is looked at on one.

    Raises:
        RateLimited: the caller waits and streams too often at the same time.
        and as `look`.
    """
    detail = await run_in_threadpool(look)
    if not wait_s or detail.transcription.status.is_final:
        return detail
    until = time.monotonic() + wait_s
    with watcher.place(caller):
        async with watcher.changes(detail.transcription.id) as changes:
            while True:
                detail = await watcher.look(look)
                if detail.transcription.status.is_final:
                    return detail
                left_s = until - time.monotonic()
                if left_s <= 0 or not await changes.next(left_s) or await request.is_disconnected():
                    return detail
