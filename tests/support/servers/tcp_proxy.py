"""A TCP proxy on loopback that counts round trips, delays them, or swallows everything."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 1 << 16


class TcpProxy:
    """Passes connections on to one server.

    Attributes:
        port: on 127.0.0.1.
        delay_s: added to each answer.
        round_trips: how often a client waited for the server: changes from sending to receiving,
            of all connections.
        is_black_hole: nothing is passed on, and nothing refused: the packets are dropped.
    """

    def __init__(self, target: tuple[str, int] | str) -> None:
        """Pass on to a host and port, or to the path of a Unix socket."""
        self.delay_s = 0.0
        self.round_trips = 0
        self.is_black_hole = False
        self._target = target
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End it with all connections."""
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for each in self._sockets:
            with suppress(OSError):
                each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        family = socket.AF_UNIX if isinstance(self._target, str) else socket.AF_INET
        server = socket.socket(family)
        try:
            server.connect(self._target)
        except OSError:
            client.close()
            return
        self._sockets += [client, server]
        state = {"is_asking": False}
        threading.Thread(target=self._ask, args=(client, server, state), daemon=True).start()
        self._answer(server, client, state)

    def _ask(self, client: socket.socket, server: socket.socket, state: dict[str, bool]) -> None:
        with suppress(OSError):
            while data := client.recv(_CHUNK):
                self._pass_or_swallow()
                with self._lock:
                    self.round_trips += not state["is_asking"]
                    state["is_asking"] = True
                server.sendall(data)
        _end(client, server)

    def _answer(self, server: socket.socket, client: socket.socket, state: dict[str, bool]) -> None:
        with suppress(OSError):
            while data := server.recv(_CHUNK):
                self._pass_or_swallow()
                if state["is_asking"] and self.delay_s:
                    time.sleep(self.delay_s)
                state["is_asking"] = False
                client.sendall(data)
        _end(client, server)

    def _pass_or_swallow(self) -> None:
        while self.is_black_hole:
            time.sleep(0.05)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def tcp_proxy(target: tuple[str, int] | str) -> Iterator[TcpProxy]:
    """Yield a proxy that passes everything on."""
    proxy = TcpProxy(target)
    try:
        yield proxy
    finally:
        proxy.is_black_hole = False
        proxy.close()
