"""httpx clients that a stranger's URL may be given to (rules 1 to 3).

A host is resolved once, every address is checked, and the connection goes to a checked one, so a
name that changes its address gains nothing. No redirect is followed, no proxy used, no cookie kept.
Each exchange has a connection of its own, on which no more than `max_bytes` are read.
"""

import json
import ssl
import time
from collections.abc import Iterable, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, cast
from urllib.parse import urlsplit

import httpcore
import httpx

from resources.network.egress_proxy import EgressProxy, resolve
from ytcaption.domain.errors import BlockedAddress, SourceUnavailable
from ytcaption.domain.media.addresses import refusal


def guarded_client(
    *, allowed_networks: Sequence[str] = (), max_bytes: int, timeout_s: float
) -> httpx.AsyncClient:  # noqa: TID251 - this is the guarded one
    """A client; close it. Besides httpx's errors its requests raise BlockedAddress.

    Args:
        allowed_networks: private CIDRs that may be reached, on any port.
        max_bytes: of one answer, its head included.
        timeout_s: of each step. What they all take together is bounded by the caller.
    """
    return httpx.AsyncClient(  # noqa: TID251
        transport=_Transport(_Network(tuple(allowed_networks), max_bytes)),
        trust_env=False,
        follow_redirects=False,
        # What one owner's server sets would be sent to another's on the same host.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        timeout=timeout_s,
    )


def client_through(proxy: EgressProxy, *, timeout_s: float) -> httpx.AsyncClient:  # noqa: TID251
    """A client whose every connection goes through the proxy, which checks addresses, counts bytes
    and knows the operator's way out; close it. No redirect is followed, no cookie kept.

    Args:
        timeout_s: of each step.
    """
    return httpx.AsyncClient(  # noqa: TID251
        proxy=proxy.url,
        verify=httpx.create_ssl_context(),  # SSL_CERT_FILE: an authority of the operator's own
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        timeout=timeout_s,
        limits=httpx.Limits(max_keepalive_connections=0),
    )


class _Transport(httpx.AsyncHTTPTransport):
    """httpx's own, with connections of ours: it has no option for them."""

    def __init__(self, network: httpcore.AsyncNetworkBackend) -> None:
        context = httpx.create_ssl_context()  # SSL_CERT_FILE: an authority of the operator's own
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=network,
        )


class _Network(httpcore.AsyncNetworkBackend):
    """Connections to checked addresses only."""

    def __init__(self, allowed_networks: tuple[str, ...], max_bytes: int) -> None:
        self._allowed_networks = allowed_networks
        self._max_bytes = max_bytes
        self._inner = cast(httpcore.AsyncNetworkBackend, httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The best address that answers.

        Raises:
            BlockedAddress: one of the host's addresses is not public, or the port is closed.
            httpcore.ConnectError: no address, or no answer from any.
        """
        try:
            addresses = await resolve(host, port)
        except (OSError, UnicodeError):
            raise httpcore.ConnectError("the host has no address") from None
        for address in addresses:
            reason = refusal(address, port, self._allowed_networks)
            if reason is not None:
                raise BlockedAddress(f"{host} is not opened: {reason}.")
        failed: Exception = httpcore.ConnectError("the host has no address")
        for address in addresses:
            try:
                stream = await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
            else:
                return _Counted(stream, self._max_bytes)
        raise failed

    async def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> Any:
        """Never."""
        raise BlockedAddress("Unix sockets are not opened.")


class _Counted(httpcore.AsyncNetworkStream):
    """A stream that ends with an error once too much was read."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, left: int) -> None:
        self._inner = inner
        self._left = left

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What comes next."""
        data = await self._inner.read(min(max_bytes, self._left + 1), timeout)
        self._left -= len(data)
        if self._left < 0:
            raise httpcore.RemoteProtocolError("the answer is too long")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Sends all of it."""
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        """Hangs up."""
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The same stream, encrypted; the handshake does not count."""
        inner = await self._inner.start_tls(ssl_context, server_hostname, timeout)
        return _Counted(inner, self._left)

    def get_extra_info(self, info: str) -> Any:
        """Of the socket."""
        return self._inner.get_extra_info(info)


def fetch_json(
    url: str,
    *,
    allowed_networks: Sequence[str] = (),
    max_bytes: int = 256 * 1024,
    timeout_s: float = 5.0,
) -> Any:
    """The document behind an http(s) URL. No redirect is followed, nothing of the environment used.

    Args:
        allowed_networks: private CIDRs that may be reached; all others are refused.
        max_bytes: of the body.
        timeout_s: of each step; twice that is all that the body may take.

    Raises:
        SourceUnavailable: not reached, refused, another status than 200, too long, or no JSON.
            Names the host, nothing else of the URL.
    """
    host = urlsplit(url).hostname or "?"
    ends_at = time.monotonic() + 2 * timeout_s
    # Handshake and headers come through it, too.
    proxy = EgressProxy(
        allowed_networks=allowed_networks,
        max_bytes=max_bytes + 256 * 1024,
        connect_timeout_s=timeout_s,
        idle_timeout_s=timeout_s,
    )
    try:
        with (
            proxy,
            httpx.Client(  # noqa: TID251 - this is the guarded one
                proxy=proxy.url, trust_env=False, follow_redirects=False, timeout=timeout_s
            ) as client,
            client.stream("GET", url, headers={"Accept": "application/json"}) as answer,
        ):
            if answer.status_code != 200:
                raise ValueError(f"status {answer.status_code}")
            body = bytearray()
            for block in answer.iter_bytes():
                body += block
                if len(body) > max_bytes:
                    raise ValueError(f"over {max_bytes} bytes")
                if time.monotonic() > ends_at:
                    raise ValueError("too slow")
        return json.loads(body)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        # The proxy's own refusals look like answers. A parser's message would quote the body.
        causes = [*proxy.traffic.refused, *proxy.traffic.unreachable]
        if proxy.traffic.too_many_bytes:
            causes.append(f"over {max_bytes} bytes")
        causes.append(str(error) if type(error) is ValueError else type(error).__name__)
        raise SourceUnavailable(f"{host} did not give a JSON document: {causes[0]}.") from None
