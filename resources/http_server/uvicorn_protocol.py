"""uvicorn's protocol with limits that it lacks: size and time of a head, stalls, connections.

uvicorn waits for ever for a head, a body and a reader. `connections` counts connections and calls
`check` about once a second; all times are measured there, so a request costs no timer of its own.
"""

import socket
import time
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from resources.http_server.connections import TABLE, ConnectionTable

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers together; the default limit of uvicorn's slower `h11` protocol."""

MIN_BYTES_PER_S = 200.0
"""Slowest body that is accepted, on average over `stall_timeout_s`."""

RETRY_AFTER_S = 5


def _response(status: str, text: str, more: str = "") -> bytes:
    body = f"{text}\n"
    return (
        f"HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n{more}"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n{body}"
    ).encode()


_TOO_LARGE = _response(
    "431 Request Header Fields Too Large", "The request's headers are larger than 64 KiB."
)
_LATE_HEAD = _response("408 Request Timeout", "The request's headers did not arrive in time.")
_LATE_BODY = _response("408 Request Timeout", "The request's body did not arrive in time.")
_TOO_MANY = _response(
    "503 Service Unavailable",
    "This address has too many requests in progress. Wait for one to end.",
    f"retry-after: {RETRY_AFTER_S}\r\n",
)


class BoundedHttp(HttpToolsProtocol):
    """Serves one connection within the limits of its server's `ConnectionTable`.

    - A head over 64 KiB is answered with 431, even one that is a single header.
    - A head that takes longer than `head_timeout_s` is answered with 408. The time does not begin
      again with each byte.
    - A body that brings nothing for `stall_timeout_s`, while the app would read it, is answered
      with 408; a reader that takes nothing for that long is disconnected.
    - A connection beyond those of its address closes the one that waited longest; if all of them
      serve requests, it is answered with 503.

    For `uvicorn --http resources.http_server.uvicorn_protocol:BoundedHttp`. The limits are the
    default ones unless the app's lifespan yields a table in its state.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if TABLE not in self.app_state:
            self.app_state[TABLE] = ConnectionTable()
        self._table: ConnectionTable = self.app_state[TABLE]
        self._limits = self._table.limits
        self.timeout_keep_alive = self._limits.idle_timeout_s
        self.address: str | None = None
        self._in_head = True
        self._head_bytes = 0
        self._head_due_at: float | None = None
        self._requests = 0  # begun and not answered; more than one if the client pipelines
        self._in_body = False
        self._window_from, self._window_bytes = 0.0, 0
        self._unread_from: float | None = None
        self._unsent_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Count the connection and start the time for its first head."""
        super().connection_made(transport)
        self.address = self._limits.counted_as(self.client[0] if self.client else None)
        self._head_due_at = time.monotonic() + self._limits.head_timeout_s
        _end_when_lost(transport, self._limits.stall_timeout_s)
        if not self._table.admit(self):
            self._refuse(_TOO_MANY)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection no longer."""
        self._table.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a head that has not ended yet, and those of a body."""
        if not self._requests and self._head_due_at is None:
            self._head_due_at = time.monotonic() + self._limits.head_timeout_s
        super().data_received(data)
        self._window_bytes += len(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Start counting a head."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Measure a head that arrived in one piece with other data, and begin the request."""
        self._in_head = False
        if sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
            return
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:  # else it will be a WebSocket
            self._begin_request()

    def on_body(self, body: bytes) -> None:
        """Ignore the body of a refused request."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note the end of the body; ignore that of a refused request."""
        self._in_body = False
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next head, unless it has arrived already."""
        self._requests -= 1
        super().on_response_complete()
        if not self._requests:
            self._table.wait(self)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to another protocol; it is counted until it ends."""
        self._begin_request()
        self._in_body = False
        super().handle_websocket_upgrade()
        websocket = self.transport.get_protocol()
        lost = websocket.connection_lost

        def connection_lost(exc: Exception | None) -> None:
            self._table.leave(self)
            lost(exc)

        websocket.connection_lost = connection_lost

    def resume_writing(self) -> None:
        """Note that the reader has taken something."""
        self._unread_from = None
        super().resume_writing()

    def check(self, now: float) -> None:
        """Close the connection if the client is late with its head, its body or its reading."""
        if self.transport.is_closing() or self.flow.write_paused or not self._requests:
            self._check_reader(now)
        if self._requests and self._in_body:
            self._check_body(now)
        elif not self._requests and self._head_due_at is not None and now > self._head_due_at:
            self._refuse(_LATE_HEAD if self._head_bytes else b"")

    def evict(self) -> None:
        """Close the connection, which waits for a request."""
        self.transport.close()

    def _begin_request(self) -> None:
        self._requests += 1
        self._head_due_at = None
        self._in_body = True
        self._window_from, self._window_bytes = time.monotonic(), 0
        self._table.serve(self)

    def _check_body(self, now: float) -> None:
        cycle = self.cycle
        if self.flow.read_paused or (cycle is not None and cycle.waiting_for_100_continue):
            self._window_from, self._window_bytes = now, 0  # it waits for us
        elif now - self._window_from > self._limits.stall_timeout_s:
            if self._window_bytes < MIN_BYTES_PER_S * (now - self._window_from):
                self._refuse(b"" if cycle is not None and cycle.response_started else _LATE_BODY)
            self._window_from, self._window_bytes = now, 0

    def _check_reader(self, now: float) -> None:
        """Abort a connection whose client takes nothing of what is left to send. Call it while the
        app writes nothing."""
        unsent_bytes = self.transport.get_write_buffer_size()
        if unsent_bytes == 0 or unsent_bytes < self._unsent_bytes or self._unread_from is None:
            self._unread_from = now
        elif now - self._unread_from > self._limits.stall_timeout_s:
            self.transport.abort()
        self._unsent_bytes = unsent_bytes

    def _refuse(self, response: bytes) -> None:
        """Answer with these bytes and hang up; the app sees that the client has gone."""
        if self.transport.is_closing():
            return
        if response:
            self.transport.write(response)
        self.transport.close()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()


def _end_when_lost(transport: Any, after_s: float) -> None:
    """Let the system end a connection whose client no longer confirms what is sent (Linux)."""
    connection = transport.get_extra_info("socket")
    if connection is None or not hasattr(socket, "TCP_USER_TIMEOUT"):
        return
    if connection.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(after_s * 1000))
