"""Slow and many clients over real sockets: who is served, and when a connection ends."""

import asyncio
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from resources.http_server.connections import (
    TABLE,
    ConnectionLimits,
    ConnectionTable,
    raise_descriptor_limit,
    usable_connections,
)
from resources.http_server.uvicorn_protocol import BoundedHttp
from tests.support.patience import patience, wait_for

pytestmark = pytest.mark.unit

GET = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
HALF_HEAD = b"GET / HTTP/1.1\r\nX-A: "
POST = b"POST /body HTTP/1.1\r\nHost: here\r\nContent-Length: 1000000\r\n\r\n"


class Server:
    """A small app behind the protocol.

    Attributes:
        table: its connections.
        gone: bodies whose clients have disconnected.
        release: lets `/wait` answer.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.table: ConnectionTable
        self.gone = 0
        self.release = threading.Event()
        self.port = 0

    def app(self) -> Starlette:
        """Return routes that answer, read a body, wait, and stream without end."""

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[dict[str, ConnectionTable]]:
            self.table = ConnectionTable(self.limits)
            yield {TABLE: self.table}

        async def hello(_: Request) -> Response:
            return PlainTextResponse("hello")

        async def body(request: Request) -> Response:
            try:
                return PlainTextResponse(str(len(await request.body())))
            except ClientDisconnect:
                self.gone += 1
                return PlainTextResponse("nobody reads it")

        async def wait(_: Request) -> Response:
            while not self.release.is_set():
                await asyncio.sleep(0.01)
            return PlainTextResponse("waited")

        async def endless(_: Request) -> Response:
            async def parts() -> AsyncIterator[bytes]:
                while True:
                    yield bytes(65_536)
                    await asyncio.sleep(0)  # uvicorn does not, once the client has gone

            return StreamingResponse(parts())

        async def talk(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.receive_text()

        return Starlette(
            routes=[
                Route("/", hello),
                Route("/body", body, methods=["POST"]),
                Route("/wait", wait),
                Route("/endless", endless),
                WebSocketRoute("/talk", talk),
            ],
            lifespan=lifespan,
        )

    def connect(self, sent: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
        """Return a connection from a loopback address of its own choice."""
        connection = socket.create_connection(
            ("127.0.0.1", self.port), timeout=10 * patience(), source_address=(source, 0)
        )
        connection.sendall(sent)
        return connection


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server with these limits, on uvicorn's own loop."""
    with ExitStack() as stack:

        def started(**limits: object) -> Server:
            return stack.enter_context(running(ConnectionLimits(**limits)))  # pyright: ignore

        yield started


@contextmanager
def running(limits: ConnectionLimits) -> Iterator[Server]:
    found = Server(limits)
    config = uvicorn.Config(
        found.app(), port=0, http=BoundedHttp, log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started)
    found.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        found.release.set()
        server.should_exit = True
        thread.join()


def relaxed(seconds: float) -> float:
    """Return a limit that a client keeps on a busy machine, too; four times as long at most."""
    return seconds * min(4, patience())


def until_closed(connection: socket.socket) -> bytes:
    """Return all that arrives until the server hangs up."""
    data = b""
    with connection:
        try:
            while part := connection.recv(65_536):
                data += part
        except ConnectionError:
            pass
    return data


def answer_to(connection: socket.socket, sent: bytes = GET) -> bytes:
    """Return the first bytes that the server answers."""
    connection.sendall(sent)
    return connection.recv(65_536)


def drip(connection: socket.socket, part: bytes, every_s: float) -> bytes:
    """Send a little again and again until the server hangs up; return what it said."""
    stopped = threading.Event()

    def send() -> None:
        try:
            while not stopped.wait(every_s):
                connection.sendall(part)
        except OSError:
            pass

    thread = threading.Thread(target=send)
    thread.start()
    try:
        return until_closed(connection)
    finally:
        stopped.set()
        thread.join()


@pytest.mark.parametrize("sent", [b"", b"G", HALF_HEAD], ids=["nothing", "a byte", "half a head"])
def test_a_head_that_does_not_arrive_ends_the_connection(serve: Serve, sent: bytes) -> None:
    """With 408 if anything of it has arrived."""
    server = serve(head_timeout_s=0.3)
    began_at = time.monotonic()
    said = until_closed(server.connect(sent))
    assert 0.3 <= time.monotonic() - began_at < 3 * patience()
    assert said.startswith(b"HTTP/1.1 408 ") if len(sent) > 1 else b"200" not in said
    wait_for(lambda: len(server.table) == 0)


def test_a_head_that_drips_gains_no_time(serve: Serve) -> None:
    """A byte now and then does not start the clock again, nor do empty lines between requests."""
    server = serve(head_timeout_s=0.4, idle_timeout_s=0.4)
    began_at = time.monotonic()
    assert drip(server.connect(HALF_HEAD), b"x", 0.05).startswith(b"HTTP/1.1 408 ")
    said = drip(server.connect(GET), b"\r\n", 0.05)
    assert said.startswith(b"HTTP/1.1 200 ")
    assert time.monotonic() - began_at < 6 * patience()


def test_a_second_head_has_its_own_time(serve: Serve) -> None:
    """Each request of a kept connection may take as long as the first one."""
    server = serve(head_timeout_s=relaxed(0.8), idle_timeout_s=30)
    with server.connect() as connection:
        for _ in range(3):
            time.sleep(0.3)
            assert answer_to(connection).startswith(b"HTTP/1.1 200 ")
        connection.sendall(HALF_HEAD)
        assert b"HTTP/1.1 408 " in until_closed(connection)


def test_an_idle_connection_ends(serve: Serve) -> None:
    """After `idle_timeout_s`, without a word."""
    server = serve(head_timeout_s=30, idle_timeout_s=0.3)
    said = until_closed(server.connect(GET))
    assert said.startswith(b"HTTP/1.1 200 ") and said.endswith(b"hello")


@pytest.mark.parametrize("part", [b"", b"x"], ids=["nothing", "a byte now and then"])
def test_a_body_that_stands_still_is_refused(serve: Serve, part: bytes) -> None:
    """With 408, and the app sees that the client has gone."""
    server = serve(stall_timeout_s=0.4)
    said = drip(server.connect(POST), part, 0.05)
    assert said.startswith(b"HTTP/1.1 408 ")
    wait_for(lambda: server.gone == 1)


def test_a_body_may_take_long_if_it_moves(serve: Serve) -> None:
    """Longer than the time in which it must bring something."""
    stall_timeout_s = relaxed(0.4)
    server = serve(stall_timeout_s=stall_timeout_s)
    body = bytes(2_000)
    head = f"POST /body HTTP/1.1\r\nHost: here\r\nContent-Length: {20 * len(body)}\r\n\r\n"
    with server.connect(head.encode()) as connection:
        for _ in range(20):
            connection.sendall(body)
            time.sleep(stall_timeout_s / 6)
        assert connection.recv(65_536).endswith(b"40000")


def test_a_response_may_take_long(serve: Serve) -> None:
    """Long polls and event streams: the server is the slow one."""
    server = serve(head_timeout_s=0.2, stall_timeout_s=0.2, idle_timeout_s=0.2)
    with server.connect(GET.replace(b"/ ", b"/wait ")) as connection:
        time.sleep(1.5)
        server.release.set()
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_a_reader_that_takes_nothing_is_disconnected(serve: Serve) -> None:
    """The response is cut, and its connection no longer counted."""
    server = serve(stall_timeout_s=0.5)
    with server.connect(GET.replace(b"/ ", b"/endless ")):
        wait_for(lambda: len(server.table) == 1)
        wait_for(lambda: len(server.table) == 0)


def test_a_slow_reader_gets_everything(serve: Serve) -> None:
    """A response takes as long as its reader, as long as it takes something."""
    stall_timeout_s = relaxed(0.5)
    server = serve(stall_timeout_s=stall_timeout_s)
    with server.connect(GET.replace(b"/ ", b"/endless ")) as connection:
        until = time.monotonic() + 3 * stall_timeout_s
        while time.monotonic() < until:
            for _ in range(40):
                assert connection.recv(65_536)
            time.sleep(0.05)


def test_many_half_heads_keep_nobody_out(serve: Serve) -> None:
    """Of one address, the connection that has waited longest is closed for the next one."""
    server = serve(per_address=20, total=1_000)
    with ExitStack() as stack:
        slow = [stack.enter_context(server.connect(HALF_HEAD)) for _ in range(100)]
        assert answer_to(stack.enter_context(server.connect())).startswith(b"HTTP/1.1 200 ")
        assert len(server.table) <= 21
        assert until_closed(slow[0]) == b""
        other = stack.enter_context(server.connect(source="127.0.0.2"))
        assert answer_to(other).startswith(b"HTTP/1.1 200 ")


def test_requests_in_progress_are_not_cut_for_others(serve: Serve) -> None:
    """Who has all its connections busy gets 503 for one more; another address is served."""
    server = serve(per_address=3, total=1_000)
    with ExitStack() as stack:
        busy = [
            stack.enter_context(server.connect(GET.replace(b"/ ", b"/wait "))) for _ in range(3)
        ]
        wait_for(lambda: len(server.table) == 3)
        time.sleep(0.2)  # heads are parsed
        refused = until_closed(server.connect(GET))
        assert refused.startswith(b"HTTP/1.1 503 ") and b"retry-after: " in refused
        other = stack.enter_context(server.connect(source="127.0.0.2"))
        assert answer_to(other).startswith(b"HTTP/1.1 200 ")
        server.release.set()
        for connection in busy:
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_many_addresses_share_all_connections(serve: Serve) -> None:
    """Where all are in use, the address that keeps most of them waiting loses one."""
    server = serve(per_address=30, total=60)
    with ExitStack() as stack:
        slow = [
            stack.enter_context(server.connect(HALF_HEAD, source=f"127.0.0.{2 + number % 3}"))
            for number in range(60)
        ]
        for number in range(10, 30):
            one = stack.enter_context(server.connect(source=f"127.0.0.{number}"))
            assert answer_to(one).startswith(b"HTTP/1.1 200 ")
        assert len(server.table) <= 61
        assert until_closed(slow[0]) == b""


def test_a_trusted_proxy_may_have_any_number(serve: Serve) -> None:
    """It speaks for many clients."""
    server = serve(per_address=5, total=1_000, exempt=("127.0.0.2/32",))
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(server.connect(HALF_HEAD, source="127.0.0.2"))
        wait_for(lambda: len(server.table) == 50)


def test_a_websocket_is_counted_until_it_ends(serve: Serve) -> None:
    """Another protocol serves it; the address has one connection less meanwhile."""
    server = serve(per_address=2, total=1_000, head_timeout_s=0.3, stall_timeout_s=0.3)
    upgrade = (
        b"GET /talk HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with server.connect() as connection:
        assert answer_to(connection, upgrade).startswith(b"HTTP/1.1 101 ")
        time.sleep(1.5)  # no limit of a head or body applies
        assert len(server.table) == 1
        connection.sendall(b"\x81\x82\x00\x00\x00\x00hi")
        until_closed(connection)
    wait_for(lambda: len(server.table) == 0)


def test_a_pipelining_client_is_served(serve: Serve) -> None:
    """Requests that follow each other at once are answered in order, and then the time begins."""
    server = serve(head_timeout_s=0.4, idle_timeout_s=0.4)
    said = until_closed(server.connect(GET * 5))
    assert said.count(b"HTTP/1.1 200 ") == 5


def test_no_connection_is_left_in_the_table(serve: Serve) -> None:
    """However it ends."""
    server = serve(head_timeout_s=0.3, idle_timeout_s=0.3, stall_timeout_s=0.3)
    for sent in (b"", GET, HALF_HEAD, POST, b"\x00\x01", GET.replace(b"/ ", b"/endless ")):
        server.connect(sent).close()
        with server.connect(sent):
            pass
    wait_for(lambda: len(server.table) == 0)


def test_descriptors_decide_how_many_connections_there_are() -> None:
    """Half of them are for connections; a process asks for more than the usual 1,024."""
    code = (
        "import resource; from resources.http_server.connections import *; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)); raise_descriptor_limit(); "
        "print(usable_connections(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["96", "256"]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    raise_descriptor_limit()
    try:
        raised, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert raised >= soft and usable_connections() <= max(8, raised // 2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
