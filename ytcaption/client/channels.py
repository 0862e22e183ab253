"""`Client.channels`: subscriptions."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypedDict, Unpack
from urllib.parse import quote

from ytcaption.client.channel_models import Channel, ChannelItem, ChannelPage, DryRun, ItemPage
from ytcaption.client.deprecation import old_module_names, with_new_names
from ytcaption.client.models import read_as
from ytcaption.client.options import PAGE
from ytcaption.client.pages import pages
from ytcaption.client.transport import Call, Transport
from ytcaption.domain.caption_choice import CaptionsPolicy
from ytcaption.domain.request import Priority, Task

DRY_RUN_S = 90.0
"""The server lists the source before it answers."""

_PATH = "/api/v1/channels"


class ChannelSettings(TypedDict, total=False):
    """How a channel is polled and transcribed; the server chooses what is left out.

    docs/reference/channels.md lists the options. `max_new` is the old name of `max_items`.
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
    max_items: int | None
    keep_days: float | None
    callback_url: str | None
    callback_include: Literal["result"] | None
    digest: Literal["never", "daily", "weekly"]


class Channels:
    """The caller's subscriptions. Errors are those of `Client`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(
        self, url: str, *, paused: bool = False, **settings: Unpack[ChannelSettings]
    ) -> Channel:
        """Subscribe to a channel; an existing subscription is not changed.

        Args:
            paused: not polled until `resume`.
        """
        body = {"url": url, "paused": paused} | with_new_names(settings, max_new="max_items")
        return self._channel(Call("POST", _PATH, json=body))

    def dry_run(self, url: str, *, items: int = 50, **settings: Unpack[ChannelSettings]) -> DryRun:
        """Return what would be transcribed now; nothing is stored.

        Args:
            items: most items to list, the newest ones; 200 at most.
        """
        body = {"url": url} | with_new_names(settings, max_new="max_items")
        call = Call(
            "POST", f"{_PATH}/dry-run", json=body, params={"items": items}, timeout_s=DRY_RUN_S
        )
        return read_as(DryRun, self._transport.send(call))

    def list(self) -> Iterator[Channel]:
        """Yield all channels, the latest added first; pages are fetched as needed."""
        for page in pages(self._transport, ChannelPage, _PATH, {"limit": PAGE}):
            yield from page.items

    def get(self, id: str) -> Channel:
        """Return a channel."""
        return self._channel(Call("GET", _path(id)))

    def change(self, id: str, **settings: Unpack[ChannelSettings]) -> Channel:
        """Change the given settings: None restores a default, and filters change one by one."""
        body = with_new_names(settings, max_new="max_items")
        return self._channel(Call("PATCH", _path(id), json=body))

    def pause(self, id: str) -> Channel:
        """Stop polling it."""
        return self._channel(Call("PATCH", _path(id), json={"paused": True}))

    def resume(self, id: str) -> Channel:
        """Poll it again, at once and by its schedule."""
        return self._channel(Call("PATCH", _path(id), json={"paused": False}))

    def run(self, id: str) -> Channel:
        """Poll it now."""
        return self._channel(Call("POST", f"{_path(id)}/run"))

    def items(
        self, id: str, *, state: str | tuple[str, ...] | None = None, changed: bool = False
    ) -> Iterator[ChannelItem]:
        """Yield its items, the newest first; pages are fetched as needed.

        Args:
            state: one or several.
            changed: only items whose audio seems to differ from what was transcribed.
        """
        params = {"limit": PAGE, "state": state, "changed": changed or None}
        for page in pages(self._transport, ItemPage, f"{_path(id)}/items", params):
            yield from page.items

    def remove(self, id: str, *, with_transcriptions: bool = False) -> None:
        """Unsubscribe.

        Args:
            with_transcriptions: also erase the transcriptions of its items.
        """
        params = {"transcriptions": with_transcriptions or None}
        self._transport.send(Call("DELETE", _path(id), params=params))

    def _channel(self, call: Call) -> Channel:
        return read_as(Channel, self._transport.send(call))


def _path(id: str) -> str:
    return f"{_PATH}/{quote(id, safe='')}"


__getattr__ = old_module_names(__name__, {"ChannelAsked": ChannelSettings})
