"""Leads public host names to servers on loopback, in this process; Python imports it by itself.

`tests.support.servers.public_hosts` puts this folder on the PYTHONPATH of an installation, and
names the hosts in `TEST_PUBLIC_HOSTS`: `youtube.com=127.0.0.2:41234`, separated by commas. Each
stands for the hosts below it, too. Their ports 80 and 443 lead to the port that is named.
"""

import os
import socket
from typing import Any

_HOSTS = {
    name: (address.rpartition(":")[0], int(address.rpartition(":")[2]))
    for name, _, address in (
        each.partition("=") for each in os.environ.get("TEST_PUBLIC_HOSTS", "").split(",") if each
    )
}
_PORTS = dict(_HOSTS.values())
_getaddrinfo, _connect = socket.getaddrinfo, socket.socket.connect


def _led(host: Any, *arguments: Any, **more: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    for known, (address, _) in _HOSTS.items():
        if name == known or str(name).endswith(f".{known}"):
            return _getaddrinfo(address, *arguments, **more)
    return _getaddrinfo(host, *arguments, **more)


def _connected(self: socket.socket, address: Any) -> None:
    if isinstance(address, tuple) and address[0] in _PORTS and address[1] in (80, 443):
        address = (address[0], _PORTS[address[0]], *address[2:])
    _connect(self, address)


if _HOSTS:
    socket.getaddrinfo = _led
    socket.socket.connect = _connected  # pyright: ignore[reportAttributeAccessIssue]
