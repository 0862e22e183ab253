"""httpx clients for untrusted URLs (docs/adr/security-rules.md#rule-1 and the next two).

A host is resolved once, all its addresses are checked, and the connection goes to a checked one, so
that a name cannot change its address after the check. Clients follow no redirect, use no proxy of
the environment and keep no cookie. Each exchange has its own connection, on which at most
`max_bytes` are read.
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
    """Return a client to close. Besides httpx's errors its requests raise BlockedAddress.

    Args:
        allowed_networks: private CIDRs that may be reached, on any port.
        max_bytes: largest response, its head included.
        timeout_s: of each step; the caller must limit the whole.
    """
    return httpx.AsyncClient(  # noqa: TID251
        transport=_Transport(_Network(tuple(allowed_networks), max_bytes)),
        trust_env=False,
        follow_redirects=False,
        # A cookie that one owner's server sets would be sent to another's on the same host.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        timeout=timeout_s,
    )


def client_through(proxy: EgressProxy, *, timeout_s: float) -> httpx.AsyncClient:  # noqa: TID251
    """Return a client to close, all of whose connections go through an egress proxy.

    Args:
        timeout_s: of each step.
    """
    return httpx.AsyncClient(  # noqa: TID251
        proxy=proxy.url,
        verify=httpx.create_ssl_context(),  # SSL_CERT_FILE: the operator's own authority
        trust_env=False,
        follow_redirects=False,
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        timeout=timeout_s,
        limits=httpx.Limits(max_keepalive_connections=0),
    )


class _Transport(httpx.AsyncHTTPTransport):
    """httpx's transport with another network backend, for which it has no option."""

    def __init__(self, network: httpcore.AsyncNetworkBackend) -> None:
        context = httpx.create_ssl_context()  # SSL_CERT_FILE: the operator's own authority
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=network,
        )


class _Network(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses only."""

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
        """Connect to the first address that answers.

        Raises:
            BlockedAddress: one of the host's addresses is not public, or the port is not allowed.
            httpcore.ConnectError: no address, or none answers.
        """
        try:
            addresses = await resolve(host, port)
        except (OSError, UnicodeError):
            raise httpcore.ConnectError("the host has no address") from None
        for address in addresses:
            reason = refusal(address, port, self._allowed_networks)
            if reason is not None:
                raise BlockedAddress(f"{host} is not opened: {reason}.")
        failure: Exception = httpcore.ConnectError("the host has no address")
        for address in addresses:
            try:
                stream = await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _LimitedStream(stream, self._max_bytes)
        raise failure

    async def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> Any:
        """Refuse the connection."""
        raise BlockedAddress("Unix sockets are not opened.")


class _LimitedStream(httpcore.AsyncNetworkStream):
    """A stream that raises an error once more than the limit has been read."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, remaining: int) -> None:
        self._inner = inner
        self._remaining = remaining

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the next bytes."""
        data = await self._inner.read(min(max_bytes, self._remaining + 1), timeout)
        self._remaining -= len(data)
        if self._remaining < 0:
            raise httpcore.RemoteProtocolError("the response is too long")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all bytes."""
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Return the same stream encrypted; the handshake does not count."""
        inner = await self._inner.start_tls(ssl_context, server_hostname, timeout)
        return _LimitedStream(inner, self._remaining)

    def get_extra_info(self, info: str) -> Any:
        """Return a detail of the socket."""
        return self._inner.get_extra_info(info)


def fetch_json(
    url: str,
    *,
    allowed_networks: Sequence[str] = (),
    max_bytes: int = 256 * 1024,
    timeout_s: float = 5.0,
) -> Any:
    """Return the JSON document at an http(s) URL, without redirects and the environment's proxies.

    Args:
        allowed_networks: private CIDRs that may be reached.
        max_bytes: largest body.
        timeout_s: of each step; the body may take twice as long.

    Raises:
        SourceUnavailable: not reached, refused, a status other than 200, too long, or no JSON. The
            message names the host and nothing else of the URL.
    """
    host = urlsplit(url).hostname or "?"
    ends_at = time.monotonic() + 2 * timeout_s
    # Handshake and headers count as well.
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
            client.stream("GET", url, headers={"Accept": "application/json"}) as response,
        ):
            if response.status_code != 200:
                raise ValueError(f"status {response.status_code}")
            body = bytearray()
            for block in response.iter_bytes():
                body += block
                if len(body) > max_bytes:
                    raise ValueError(f"over {max_bytes} bytes")
                if time.monotonic() > ends_at:
                    raise ValueError("too slow")
        return json.loads(body)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        # The proxy's refusals look like responses. A JSON parser's message would quote the body.
        causes = [*proxy.traffic.refused, *proxy.traffic.unreachable]
        if proxy.traffic.too_many_bytes:
            causes.append(f"over {max_bytes} bytes")
        causes.append(str(error) if type(error) is ValueError else type(error).__name__)
        raise SourceUnavailable(f"{host} did not give a JSON document: {causes[0]}.") from None
