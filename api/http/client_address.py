"""The address a request comes from, and whether it arrives over loopback."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import Scope

from ytcaption.domain.media.addresses import is_in_networks, is_loopback, parse_address


def client_address(scope: Scope, trusted_proxies: Sequence[str]) -> str:
    """Return the client's address: the socket's, or the one a trusted proxy reports.

    `X-Forwarded-For` is read from its end for as long as the addresses are trusted proxies: what
    precedes the first other address may be forged.
    """
    address = (scope.get("client") or ("", 0))[0]
    forwarded = ",".join(Headers(scope=scope).getlist("x-forwarded-for"))
    for hop in reversed(forwarded.split(",")):
        if not _is_one_of(address, trusted_proxies) or not _is_address(hop.strip()):
            break
        address = hop.strip()
    return address


def is_over_loopback(scope: Scope) -> bool:
    """Return whether a request arrived over loopback and names a loopback host.

    The socket's address is checked so that a server bound elsewhere by hand stays closed, and the
    Host header so that a page that rebinds its name to 127.0.0.1 is refused.
    """
    address, port = scope.get("server") or (None, None)
    if address is not None and port is not None and not is_loopback(address):
        return False
    host = Headers(scope=scope).get("host", "")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return is_loopback(name)


def _is_one_of(address: str, networks: Sequence[str]) -> bool:
    return _is_address(address) and is_in_networks(address, networks)


def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except ValueError:
        return False
    return True
