"""A receiver of webhooks on loopback: checks each with the `standardwebhooks` library.

with WebhookReceiver() as receiver:
    receiver.secrets.append(secret)
    receiver.answer("/hook", status=500, retry_after=7)
    ...
    assert receiver.received[0].verified
"""

import socket
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.fake_clock import FakeClock

_TOLERANCE_S = 300
"""That of the library."""


@dataclass
class Received:
    """One request.

    Attributes:
        verified_by: positions in `secrets` that its signatures hold for.
    """

    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    verified_by: tuple[int, ...]

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Answer:
    """What a path answers; `act` takes the connection instead."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    act: Callable[[socket.socket], Any] | None = None


class WebhookReceiver:
    """The server; a context manager.

    Args:
        tls: listens by https with this context.

    Attributes:
        clock: the sender's, if that is not right; else a request whose time differs by five minutes
            has no valid signature.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.clock: FakeClock | None = None
        self.received: list[Received] = []
        self.secrets: list[str] = []
        self.answers: dict[str, Answer] = defaultdict(Answer)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._take(self)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._lock = threading.Condition()
        self._answered = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self._server.server_address[1]}{path}"

    def at(self, path: str) -> list[Received]:
        """What came to a path so far."""
        with self._lock:
            return [each for each in self.received if each.path == path]

    def wait(self, number: int, path: str | None = None, timeout_s: float = 20) -> list[Received]:
        """Wait for this number of requests to a path or to all, and return them."""

        def those() -> list[Received]:
            return [each for each in self.received if path in (None, each.path)]

        with self._lock:
            assert self._lock.wait_for(lambda: len(those()) >= number, timeout_s), those()
            return those()

    def until_answered(self, timeout_s: float = 20) -> None:
        """As soon as every answer of an `act` so far is over."""
        with self._lock:
            assert self._lock.wait_for(lambda: self._answered >= len(self.received), timeout_s)

    def _verifies_by_clock(self, secret: str, body: bytes, headers: dict[str, str]) -> bool:
        """Return whether the signature is valid by the sender's clock, now or before it was set."""
        if self.clock is None:
            return False
        at_s = int(headers["webhook-timestamp"])
        signature = Webhook(secret).sign(
            headers["webhook-id"], datetime.fromtimestamp(at_s, UTC), body.decode()
        )
        is_timely = any(
            abs(time.time() + offset_s - at_s) < _TOLERANCE_S for offset_s in self.clock.offsets_s
        )
        return is_timely and signature in headers["webhook-signature"].split()

    def _take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        verified = tuple(
            at
            for at, secret in enumerate(self.secrets)
            if _verifies(secret, body, headers) or self._verifies_by_clock(secret, body, headers)
        )
        with self._lock:
            self.received.append(Received(handler.path, headers, body, time.time(), verified))
            self._lock.notify_all()
        answer = self.answers[handler.path]
        if answer.act is not None:
            answer.act(handler.connection)
            handler.close_connection = True
            with self._lock:
                self._answered += 1
                self._lock.notify_all()
            return
        handler.send_response(answer.status)
        for name, value in answer.headers:
            handler.send_header(name, value)
        if answer.status != 204:
            handler.send_header("content-length", str(len(answer.body)))
        handler.end_headers()
        if answer.status != 204:
            try:
                handler.wfile.write(answer.body)
            except OSError:
                handler.close_connection = True


def _verifies(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True
