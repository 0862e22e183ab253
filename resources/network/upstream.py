"""Connections through an operator's proxy, HTTP or SOCKS5, to checked addresses.

The proxy gets the address, never the name: it resolves nothing, so it cannot lead elsewhere.
"""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from ytcaption.domain.media.egress import Upstream

# Statuses about the proxy itself; any other one is about the server.
_PROXY_STATUSES = frozenset({401, 402, 407, 429})


class ProxyDown(Exception):
    """No available proxy works."""


@dataclass
class UpstreamUse:
    """How the proxies of one download or listing did.

    Attributes:
        works: name of the proxy in use; None: none has worked yet.
        errors: by name, why a proxy was given up.
    """

    works: str | None = None
    errors: dict[str, str] = field(default_factory=dict)


class UpstreamConnector:
    """Connects through the first proxy that works, and from then on through that one only.

    Sites bind the URLs of media to the address that requested them.

    Args:
        upstreams: not empty.
        source_address: address of this machine that connections come from; None: any.
        use: how the proxies did so far: only the one that has worked, or those that have not
            failed, are used.
    """

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        source_address: str | None,
        timeout_s: float,
        use: UpstreamUse,
    ) -> None:
        self.use = use
        self._upstreams = [
            each
            for each in upstreams
            if each.name not in use.errors and use.works in (None, each.name)
        ]
        self._source_address = source_address
        self._timeout_s = timeout_s

    async def connect(self, address: str, port: int) -> socket.socket:
        """Return a connection to the address.

        Raises:
            ProxyDown: the proxy that has worked no longer does, or none ever did.
            OSError: the proxy works and cannot reach the address.
        """
        while self._upstreams:
            upstream = self._upstreams[0]
            error = await self._try(upstream, address, port)
            if isinstance(error, socket.socket):
                self.use.works = upstream.name
                self.use.errors.pop(upstream.name, None)
                return error
            self.use.errors[upstream.name] = error
            if self.use.works is not None:
                break
            self._upstreams.pop(0)
        raise ProxyDown

    async def _try(self, upstream: Upstream, address: str, port: int) -> socket.socket | str:
        """Return the connection, or what is wrong with the proxy."""
        from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError, ProxyType
        from python_socks.async_.asyncio import Proxy

        proxy = Proxy(
            ProxyType.HTTP if upstream.kind == "http" else ProxyType.SOCKS5,
            upstream.host,
            upstream.port,
            upstream.user,
            upstream.password,
            rdns=False,
        )
        options = {"local_addr": (self._source_address, 0)} if self._source_address else {}
        try:
            return await proxy.connect(address, port, self._timeout_s, **options)
        except ProxyTimeoutError:
            return "it does not answer"
        except ProxyConnectionError:
            return "it cannot be connected to"
        except ProxyError as error:
            code = error.error_code
            if code is None:
                return "it refuses the user and password, or speaks another protocol"
            if upstream.kind == "http" and code in _PROXY_STATUSES:
                return f"it answers {code}"
            raise ConnectionError("the proxy does not reach the server") from None
        except OSError:
            return "it hangs up"
