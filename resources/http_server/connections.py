"""The open connections of one server: how many each address may have, and how long they may idle.

A client that opens connections and sends nothing (slow heads, "slowloris") costs a descriptor each
until nobody else gets one. Here a client that is over its number loses the connection that has
waited longest for a request, so that the next one of the same address is still served.
"""

import asyncio
import logging
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ytcaption.domain.media.addresses import client_network, is_in_networks
from ytcaption.settings.settings import Settings

logger = logging.getLogger(__name__)

TABLE = "connections"
"""Name of a server's `ConnectionTable` in the state that its app's lifespan yields."""

DESCRIPTORS = 8_192
"""Descriptors that a server asks for; many systems give a process 1,024 unless it asks."""

OWN_DESCRIPTORS = 64
"""Descriptors that a server has for itself: database, logs, libraries."""

SWEEP_S = 1.0
"""Longest time between two looks at the clocks of all connections."""

WARN_EVERY_S = 60.0


@dataclass(frozen=True)
class ConnectionLimits:
    """What the connections of one server may cost.

    Attributes:
        per_address: open connections of one address; a /64 counts as one address of IPv6.
        head_timeout_s: time in which a request's line and headers must arrive.
        idle_timeout_s: time that a connection stays open between two requests.
        stall_timeout_s: time in which a body must bring something, and a reader take something.
        exempt: networks whose addresses may have any number: proxies that speak for many clients.
        total: open connections of all addresses; None: half of the process's descriptors, since a
            request may need one of its own.
    """

    per_address: int = 200
    head_timeout_s: float = 10.0
    idle_timeout_s: float = 5.0
    stall_timeout_s: float = 60.0
    exempt: Sequence[str] = ()
    total: int | None = None

    def counted_as(self, client: str | None) -> str | None:
        """Return what a client's connections are counted by; None: it may have any number.

        Args:
            client: its address; None over a Unix socket.
        """
        if client is None or (self.exempt and is_in_networks(client, self.exempt)):
            return None
        return client_network(client)

    @classmethod
    def from_settings(cls, settings: Settings) -> "ConnectionLimits":
        """Return the limits of an installation."""
        api = settings.api
        return cls(
            per_address=api.connections_per_address,
            head_timeout_s=api.head_timeout_s,
            idle_timeout_s=api.idle_timeout_s,
            stall_timeout_s=api.stall_timeout_s,
            exempt=api.trusted_proxies,
        )


class Connection(Protocol):
    """A connection as the table sees it.

    Attributes:
        address: of the client; None: one that may have any number.
    """

    address: str | None

    def check(self, now: float) -> None:
        """Close the connection if its client is late."""
        ...

    def evict(self) -> None:
        """Close the connection, which waits for a request, in favour of another one."""
        ...


@dataclass
class _Client:
    """The connections of one address; those that wait for a request in the order of their wait."""

    waiting: dict[Connection, None] = field(default_factory=dict)
    busy: set[Connection] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.waiting) + len(self.busy)


class ConnectionTable:
    """The connections of one server, to be used on its event loop only."""

    def __init__(self, limits: ConnectionLimits | None = None) -> None:
        self.limits = limits or ConnectionLimits()
        total = self.limits.total
        self.total = total if total is not None else usable_connections()
        # One address never has all of them, however few there are.
        self.per_address = min(self.limits.per_address, max(1, self.total // 2))
        self._clients: dict[str | None, _Client] = {}
        self._count = 0
        self._sweeping: asyncio.TimerHandle | None = None
        self._warned_at = float("-inf")
        shortest_s = min(self.limits.head_timeout_s, self.limits.stall_timeout_s)
        self._sweep_s = min(SWEEP_S, shortest_s / 4)

    def __len__(self) -> int:
        return self._count

    def admit(self, connection: Connection) -> bool:
        """Add a connection that waits for its first request; return whether it may stay.

        Over a limit another one is closed for it, of the same address or of the address that has
        the most. Only where each of those serves a request, the new one may not stay.
        """
        address = connection.address
        client = self._clients.get(address)
        crowded: _Client | None = None
        if client is not None and address is not None and len(client) >= self.per_address:
            crowded = client
        elif self._count >= self.total:
            crowded = max(self._clients.values(), key=lambda each: len(each.waiting))
        if crowded is not None:
            self._warn(address)
            oldest = next(iter(crowded.waiting), None)
            if oldest is None:
                return False
            self.serve(oldest)  # it is not chosen again, and counts until it has ended
            oldest.evict()
        self._clients.setdefault(address, _Client()).waiting[connection] = None
        self._count += 1
        if self._sweeping is None:
            self._sweep_later()
        return True

    def serve(self, connection: Connection) -> None:
        """Note that a connection serves a request: it is not closed in favour of another one."""
        client = self._clients.get(connection.address)
        if client is not None and connection in client.waiting:
            del client.waiting[connection]
            client.busy.add(connection)

    def wait(self, connection: Connection) -> None:
        """Note that a connection waits for its next request."""
        client = self._clients.get(connection.address)
        if client is not None and connection in client.busy:
            client.busy.discard(connection)
            client.waiting[connection] = None

    def leave(self, connection: Connection) -> None:
        """Remove a connection; nothing happens if it is not in the table."""
        client = self._clients.get(connection.address)
        if client is None:
            return
        if connection in client.waiting:
            del client.waiting[connection]
        elif connection in client.busy:
            client.busy.discard(connection)
        else:
            return
        self._count -= 1
        if not client:
            del self._clients[connection.address]

    def _sweep_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeping = loop.call_later(self._sweep_s, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        now = time.monotonic()
        for client in list(self._clients.values()):
            for connection in (*client.waiting, *client.busy):
                connection.check(now)
        if self._count:
            self._sweep_later()

    def _warn(self, address: str | None) -> None:
        now = time.monotonic()
        if now - self._warned_at < WARN_EVERY_S:
            return
        self._warned_at = now
        logger.warning(
            "%s opens more connections than it may (%d of %d are open, %d per address). Those that "
            "have waited longest for a request are closed.",
            *(address, self._count, self.total, self.per_address),
        )


def raise_descriptor_limit() -> None:
    """Let this process open as many files as a server needs, if the system's hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def usable_connections() -> int:
    """Return the connections that this process's descriptors allow."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        soft = DESCRIPTORS
    return max(8, (min(soft, DESCRIPTORS) - OWN_DESCRIPTORS) // 2)
