"""Fixtures of the hostile inputs: the API, the graph, names that lie, a server inside."""

import socket
from collections.abc import Iterator

import pytest

from tests.api.conftest import client, keys, server_url, start, world  # noqa: F401
from tests.security.names import Names
from tests.support.servers.media_server import MediaServer
from tests.ytcaption_assets.assets.conftest import environment, graph  # noqa: F401

INSIDE = "127.0.0.2"
"""An address that no test allows: what listens there is not to be reached."""


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """The resolver of this process, under the test's control."""
    found = Names(socket.getaddrinfo)
    monkeypatch.setattr(socket, "getaddrinfo", found.getaddrinfo)
    return found


@pytest.fixture
def media_server() -> Iterator[MediaServer]:
    """The one server that may be reached, 127.0.0.1."""
    with MediaServer() as server:
        yield server


@pytest.fixture
def inside(media_server: MediaServer) -> Iterator[MediaServer]:
    """Another one behind a private address, on the same port: an address is all that differs."""
    with MediaServer(host=INSIDE, port=media_server.port) as server:
        yield server
