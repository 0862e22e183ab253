"""The egress proxy: a proxy on loopback for all traffic of yt-dlp, which checks every address.

yt-dlp follows redirects, manifests and embeds, so a check of the submitted URL alone is not enough:
the generic extractor could reach an internal server in five ways. The proxy checks every hop.
"""

import asyncio
import contextlib
import errno
import secrets
import socket
import struct
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from resources.network.http_head import (
    MAX_HEAD_BYTES,
    BadHead,
    RequestHead,
    basic_authorization,
    parse_request,
    parse_response,
)
from resources.network.upstream import ProxyDown, UpstreamConnector, UpstreamUse
from ytcaption.domain.media.addresses import is_in_networks, parse_address, refusal
from ytcaption.domain.media.egress import Upstream

CHUNK_BYTES = 256 * 1024
MAX_CONNECTIONS = 64
HEAD_TIMEOUT_S = 15.0
_USER = "ytcaption"


# Not EAI_NONAME and its like, which say that there is no such host.
_NO_NAME_SERVER = (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM)
_NO_NETWORK = (errno.ENETUNREACH, errno.ENETDOWN)


@dataclass
class Traffic:
    """What passed through one egress proxy.

    Attributes:
        refused: reasons of refused connections, for a person.
        unreachable: hosts that have no address or did not answer.
        offline: why this machine itself has no connection, for a person; None if it has one.
        bytes_received: from servers, manifests and encryption included.
        too_many_bytes: whether the limit has been reached.
        upstream: how the operator's proxies did.
    """

    refused: list[str] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)
    offline: str | None = None
    bytes_received: int = 0
    too_many_bytes: bool = False
    upstream: UpstreamUse = field(default_factory=UpstreamUse)


def _code(error: Exception) -> int | None:
    return error.errno if isinstance(error, OSError) else None


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host name or literal, best first; `0x7f.1` is 127.0.0.1, too.

    Raises:
        OSError: there is no address.
    """
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


class EgressProxy:
    """The proxy of one download; a context manager.

    A name is resolved once, all its addresses are checked, and the connection goes to a checked
    one, so that a name cannot change its address after the check. A plain HTTP connection carries
    one request; a second one is never read.

    Args:
        allowed_networks: private CIDRs that may be reached, on any port.
        max_bytes: connections end when servers have sent more. It may be raised meanwhile.
        upstreams: proxies of the operator for public addresses, of which the first that works is
            used; empty: a direct connection.
        source_address: address of this machine that connections come from.
        open_targets: hosts and ports of the operator, whose addresses are not checked.
        traffic: filled while the proxy runs.
    """

    def __init__(
        self,
        *,
        allowed_networks: Sequence[str] = (),
        max_bytes: int,
        connect_timeout_s: float = 15,
        idle_timeout_s: float = 60,
        upstreams: Sequence[Upstream] = (),
        source_address: str | None = None,
        open_targets: Collection[tuple[str, int]] = (),
        traffic: Traffic | None = None,
    ) -> None:
        self.traffic = traffic if traffic is not None else Traffic()
        self.max_bytes = max_bytes
        self._allowed_networks = tuple(allowed_networks)
        self._connect_timeout_s = connect_timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._source_address = source_address
        self._open_targets = frozenset(open_targets)
        self._upstream: UpstreamConnector | None = None
        if upstreams:
            self._upstream = UpstreamConnector(
                upstreams, source_address, connect_timeout_s, self.traffic.upstream
            )
        self._token = secrets.token_urlsafe(32)
        self._authorization = basic_authorization(_USER, self._token)
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="egress-proxy", daemon=True)
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Return the URL, with a token that only this download knows."""
        return f"http://{_USER}:{self._token}@127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", 0))
        self._port = listener.getsockname()[1]
        self._thread.start()
        serving = asyncio.start_server(self._accept, sock=listener, limit=MAX_HEAD_BYTES)
        asyncio.run_coroutine_threadsafe(serving, self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except BadHead as error:
            await _answer(writer, error.status, str(error))
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            _reset(writer)
        except asyncio.CancelledError:
            pass  # the proxy ends; Python 3.11 would log the canceled connection as an error
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(HEAD_TIMEOUT_S):
            head = await reader.readuntil(b"\r\n\r\n")
            request = parse_request(head, authorization=self._authorization)
            body = await reader.readexactly(request.body_bytes)
        server_reader, server_writer = await self._connect(request)
        try:
            if request.is_tunnel:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await self._tunnel(reader, writer, server_reader, server_writer)
            else:
                server_writer.write(request.to_server() + body)
                await self._respond(reader, writer, server_reader)
        finally:
            server_writer.transport.abort()

    async def _connect(
        self, request: RequestHead
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection to a checked address.

        Raises:
            BadHead: 403: the address is refused; 502: it cannot be reached.
        """
        host, port = request.host, request.port
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                addresses = await resolve(host, port)
        except (OSError, UnicodeError) as error:
            self.traffic.unreachable.append(f"{host} has no address")
            if isinstance(error, TimeoutError) or _code(error) in _NO_NAME_SERVER:
                self.traffic.offline = f"no name server answers for {host}"
            raise BadHead(502, "no address") from None
        is_open = (host.lower(), port) in self._open_targets
        for address in addresses:
            reason = None if is_open else refusal(address, port, self._allowed_networks)
            if reason is not None:
                self.traffic.refused.append(f"{host}:{port}: {reason}")
                raise BadHead(403, reason)
        for address in addresses if is_open else self._usable(addresses):
            try:
                return await self._open(address, port, is_open=is_open)
            except OSError as error:
                if _code(error) in _NO_NETWORK:
                    self.traffic.offline = f"no network leads to {address}"
        self.traffic.unreachable.append(f"{host} does not answer")
        raise BadHead(502, "no answer")

    def _usable(self, addresses: Sequence[str]) -> list[str]:
        """Return the addresses of the source address' family."""
        if self._source_address is None or self._upstream is not None:
            return list(addresses)
        version = parse_address(self._source_address).version
        return [each for each in addresses if parse_address(each).version == version]

    async def _open(
        self, address: str, port: int, *, is_open: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection to a checked address: a public one through the operator's proxy.

        Raises:
            OSError: the address cannot be reached.
            BadHead: 502: no proxy works.
        """
        if (
            self._upstream is not None
            and not is_open
            and not is_in_networks(address, self._allowed_networks)
        ):
            try:
                connection = await self._upstream.connect(address, port)
            except ProxyDown:
                raise BadHead(502, "no proxy works") from None
            return await asyncio.open_connection(sock=connection, limit=MAX_HEAD_BYTES)
        options: dict[str, Any] = {}
        if self._source_address is not None and not is_open:
            options["local_addr"] = (self._source_address, 0)
        async with asyncio.timeout(self._connect_timeout_s):
            return await asyncio.open_connection(address, port, limit=MAX_HEAD_BYTES, **options)

    async def _tunnel(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        async def upload() -> None:
            with contextlib.suppress(OSError):
                while data := await reader.read(CHUNK_BYTES):
                    server_writer.write(data)
                    await server_writer.drain()
                server_writer.write_eof()

        uploading = asyncio.create_task(upload())
        try:
            await self._relay(server_reader, writer)
        finally:
            uploading.cancel()

    async def _respond(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
    ) -> None:
        async with asyncio.timeout(self._idle_timeout_s):
            response = parse_response(await server_reader.readuntil(b"\r\n\r\n"))
            while response.status < 200:  # 100 Continue, 103 Early Hints
                response = parse_response(await server_reader.readuntil(b"\r\n\r\n"))
        writer.write(response.to_client())
        # The client's end counts as well: a server may keep the connection open for longer.
        relaying = asyncio.create_task(self._relay(server_reader, writer))
        hang_up = asyncio.create_task(_end_of(reader))
        await asyncio.wait((relaying, hang_up), return_when=asyncio.FIRST_COMPLETED)
        hang_up.cancel()
        relaying.cancel()
        error, _ = await asyncio.gather(relaying, hang_up, return_exceptions=True)
        if error is not None:
            _reset(writer)

    async def _relay(self, source: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(self._idle_timeout_s):
                data = await source.read(CHUNK_BYTES)
            if not data:
                return
            self.traffic.bytes_received += len(data)
            if self.traffic.bytes_received > self.max_bytes:
                self.traffic.too_many_bytes = True
                _reset(writer)
                return
            writer.write(data)
            await writer.drain()


async def _end_of(reader: asyncio.StreamReader) -> None:
    """Wait until the client hangs up; drop all that it sends after its one request."""
    with contextlib.suppress(OSError):
        while await reader.read(CHUNK_BYTES):
            pass


def _reset(writer: asyncio.StreamWriter) -> None:
    """Hang up with RST: after an orderly end, a response without length would look complete."""
    connection = writer.get_extra_info("socket")
    if connection is not None and not writer.transport.is_closing():
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _answer(writer: asyncio.StreamWriter, status: int, reason: str) -> None:
    body = f"{reason}\n".encode()
    challenge = f"Proxy-Authenticate: Basic realm={_USER}\r\n" if status == 407 else ""
    head = (
        f"HTTP/1.1 {status} Egress proxy\r\nContent-Type: text/plain\r\n{challenge}"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with contextlib.suppress(OSError):
        writer.write(head.encode() + body)
        await writer.drain()
