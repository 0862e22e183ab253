"""`Client.channels`: subscriptions."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypedDict, Unpack
from urllib.parse import quote

from ytcaption.client.channel_models import Channel, ChannelItem, ChannelPage, DryRun, ItemPage
from ytcaption.client.models import read_as
from ytcaption.client.options import PAGE
from ytcaption.client.pages import pages
from ytcaption.client.transport import Call, Transport
from ytcaption.domain.caption_choice import CaptionsPolicy
from ytcaption.domain.request import Priority, Task

DRY_RUN_S = 90.0
"""The server looks at the source before it answers."""

_PATH = "/api/v1/channels"


class ChannelAsked(TypedDict, total=False):
    """How a channel is wanted; what is left out is the server's to choose.

    docs/reference/channels.md lists the options.
    """

    schedule: Mapping[str, str] | None
    filters: Mapping[str, Any] | None
    language: str | None
    model: str | None
    task: Task
    initial_prompt: str | None
    hotwords: str | None
    temperature: float | None
    captions: CaptionsPolicy
    priority: Priority
    max_new: int | None
    keep_days: float | None
    callback_url: str | None
    callback_include: Literal["result"] | None
    digest: Literal["never", "daily", "weekly"]


class Channels:
    """One's subscriptions. Errors are those of `Client`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(self, url: str, *, paused: bool = False, **asked: Unpack[ChannelAsked]) -> Channel:
        """Subscribe; a channel that is known already stays as it is.

        Args:
            paused: not looked at until `resume`.
        """
        body = {"url": url, "paused": paused} | dict(asked)
        return self._channel(Call("POST", _PATH, json=body))

    def dry_run(self, url: str, *, items: int = 50, **asked: Unpack[ChannelAsked]) -> DryRun:
        """What it would take now; nothing is kept.

        Args:
            items: most that are looked at, the newest ones; 200 at most.
        """
        body = {"url": url} | dict(asked)
        call = Call(
            "POST", f"{_PATH}/dry-run", json=body, params={"items": items}, timeout_s=DRY_RUN_S
        )
        return read_as(DryRun, self._transport.send(call))

    def list(self) -> Iterator[Channel]:
        """All, those added last first, page by page as they are read."""
        for page in pages(self._transport, ChannelPage, _PATH, {"limit": PAGE}):
            yield from page.items

    def get(self, id: str) -> Channel:
        """Where one stands."""
        return self._channel(Call("GET", _path(id)))

    def change(self, id: str, **asked: Unpack[ChannelAsked]) -> Channel:
        """Want something else of it: what is left out stays, None is as if it had never been given,
        filters are changed one by one."""
        return self._channel(Call("PATCH", _path(id), json=dict(asked)))

    def pause(self, id: str) -> Channel:
        """Have it looked at no more."""
        return self._channel(Call("PATCH", _path(id), json={"paused": True}))

    def resume(self, id: str) -> Channel:
        """Have it looked at again, at once and by its schedule."""
        return self._channel(Call("PATCH", _path(id), json={"paused": False}))

    def run(self, id: str) -> Channel:
        """Have it looked at now."""
        return self._channel(Call("POST", f"{_path(id)}/run"))

    def items(
        self, id: str, *, state: str | tuple[str, ...] | None = None, changed: bool = False
    ) -> Iterator[ChannelItem]:
        """What its list shows, the newest first, page by page as it is read.

        Args:
            state: one or several.
            changed: only those whose audio seems to be another one by now.
        """
        params = {"limit": PAGE, "state": state, "changed": changed or None}
        for page in pages(self._transport, ItemPage, f"{_path(id)}/items", params):
            yield from page.items

    def remove(self, id: str, *, with_transcriptions: bool = False) -> None:
        """Leave it.

        Args:
            with_transcriptions: those of its items are erased, too.
        """
        params = {"transcriptions": with_transcriptions or None}
        self._transport.send(Call("DELETE", _path(id), params=params))

    def _channel(self, call: Call) -> Channel:
        return read_as(Channel, self._transport.send(call))


def _path(id: str) -> str:
    return f"{_PATH}/{quote(id, safe='')}"
