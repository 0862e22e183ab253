"""A transcription as it changes, by events or, where none come through, by asking."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ytcaption_assets.client.errors import (
    ApiError,
    ServerUnreachable,
    UnexpectedAnswer,
    WaitTimeout,
)
from ytcaption_assets.client.models import Progress, Transcription

if TYPE_CHECKING:
    from ytcaption_assets.client.client import Client

LONG_POLL_S = 5
"""The server answers when it is over, or after so long: then there is progress to tell of."""

ASK_EVERY_S = 1.0
"""Of a server that answers at once, whatever it is asked to wait."""

PATIENCE_S = 60.0
"""For a server that is being restarted."""

NO_EVENTS = frozenset({404, 405, 406, 429, 501})
"""An older server, one behind a proxy that lets none through, or too many streams of this key."""


def changes_of(client: "Client", id: str, timeout_s: float | None) -> Iterator[Transcription]:
    """Each change, the first state included; ends with a final one.

    Raises:
        WaitTimeout: it is not over in time.
        ApiError: there is no such transcription, or none any more.
    """
    if timeout_s is not None:  # between two events nothing would look at the clock
        yield from _asked(client, id, time.monotonic() + timeout_s, LONG_POLL_S)
        return
    now = client.get(id)
    yield now
    if now.status.is_final:
        return
    wait_s = LONG_POLL_S
    try:
        for event in client.events(id):
            if event.type == "progress":
                progress = Progress.model_validate(event.data)
                now = now.model_copy(update={"progress": progress})
            elif event.type == "segment":
                continue
            else:
                now = _patiently(client, id, None)
            yield now
            if now.status.is_final:
                return
    except ApiError as error:
        if error.status not in NO_EVENTS and error.status < 500:
            raise
        wait_s = 0 if error.status == 429 else LONG_POLL_S  # they are counted together
    except (ServerUnreachable, UnexpectedAnswer):
        pass  # a proxy's page, or one that keeps the events back
    yield from _asked(client, id, None, wait_s)


def _asked(
    client: "Client", id: str, deadline: float | None, wait_s: int
) -> Iterator[Transcription]:
    while True:
        began = time.monotonic()
        left_s = wait_s if deadline is None else max(0, int(deadline - began))
        now = _patiently(client, id, min(wait_s, left_s) or None)
        yield now
        if now.status.is_final:
            return
        took_s = time.monotonic() - began
        if deadline is not None and time.monotonic() >= deadline:
            raise WaitTimeout(f"{id} is {now.status.value} still. It goes on at the server.")
        if took_s < ASK_EVERY_S:
            time.sleep(ASK_EVERY_S - took_s)


def _patiently(client: "Client", id: str, wait_s: int | None) -> Transcription:
    lost_at = time.monotonic()
    while True:
        try:
            return client.get(id, wait_s=wait_s)
        except ServerUnreachable:
            if time.monotonic() - lost_at > PATIENCE_S:
                raise
            time.sleep(ASK_EVERY_S)
