"""A proxy on loopback, as an operator rents one: CONNECT or SOCKS5, with or without a password.

    with UpstreamProxy(routes={443: ("127.0.0.1", site.port)}) as proxy:
        download(proxies=proxy.url)
        assert proxy.targets == [("93.184.216.34", 443)]

It takes connections for any address, and leads them by their port to a server of the test.
"""

import base64
import contextlib
import socket
import struct
import threading
from collections.abc import Mapping
from typing import Self


class UpstreamProxy:
    """The proxy; a context manager.

    Args:
        routes: by port that is asked for, where a connection leads in truth.
        user, password: that it wants; None: neither.
        answer: HTTP status of every answer; 200: it connects.
        die_after: bytes from servers after which it is dead, connections and all.
    """

    def __init__(
        self,
        routes: Mapping[int, tuple[str, int]],
        *,
        kind: str = "http",
        user: str | None = None,
        password: str | None = None,
        answer: int = 200,
        die_after: int | None = None,
    ) -> None:
        self.targets: list[tuple[str, int]] = []
        self.kind, self.routes, self.answer, self.die_after = kind, routes, answer, die_after
        self.user, self.password = user, password
        self.passed = 0
        self._connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    @property
    def name(self) -> str:
        return f"{self.kind}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        login = f"{self.user}:{self.password}@" if self.user else ""
        return f"{self.kind}://{login}127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.die()

    def die(self) -> None:
        """No connection is taken any more, and all that are open are reset."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._connections.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, EOFError):
            target = self._connect(client) if self.kind == "http" else self._socks(client)
            if target is None:
                return
            with socket.create_connection(self.routes[target[1]]) as server:
                self._connections.append(server)
                threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()
                self._pass_on(server, client, from_server=True)

    def _connect(self, client: socket.socket) -> tuple[str, int] | None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += _exactly(client, 1)
        target = head.split(b" ", 2)[1].decode()
        host, _, port = target.rpartition(":")
        status = self.answer
        if self.user is not None:
            wanted = base64.b64encode(f"{self.user}:{self.password}".encode())
            if b"Basic " + wanted not in head:
                status = 407
        client.sendall(f"HTTP/1.1 {status} Said\r\n\r\n".encode())
        self.targets.append((host, int(port)))
        return (host, int(port)) if status == 200 else None

    def _socks(self, client: socket.socket) -> tuple[str, int] | None:
        """RFC 1928, and RFC 1929 where it wants a password."""
        _exactly(client, _exactly(client, 2)[1])
        client.sendall(b"\x05\x02" if self.user else b"\x05\x00")
        if self.user:
            user = _exactly(client, _exactly(client, 2)[1])
            password = _exactly(client, _exactly(client, 1)[0])
            is_right = (user.decode(), password.decode()) == (self.user, self.password)
            client.sendall(b"\x01\x00" if is_right else b"\x01\x01")
            if not is_right:
                return None
        kind = _exactly(client, 4)[3]
        assert kind == 1, "a name, or IPv6: it is to be given the address that was checked"
        host = socket.inet_ntoa(_exactly(client, 4))
        (port,) = struct.unpack(">H", _exactly(client, 2))
        self.targets.append((host, port))
        client.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        return host, port

    def _pass_on(
        self, source: socket.socket, target: socket.socket, *, from_server: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(16 * 1024):
                if from_server:
                    self.passed += len(data)
                    if self.die_after is not None and self.passed > self.die_after:
                        self.die()
                        return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def _exactly(connection: socket.socket, number: int) -> bytes:
    data = b""
    while len(data) < number:
        part = connection.recv(number - len(data))
        if not part:
            raise EOFError
        data += part
    return data
