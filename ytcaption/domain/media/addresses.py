"""Decide which IP addresses an untrusted URL may lead to."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

PUBLIC_PORTS = (80, 443)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Ways from IPv6 into IPv4 (a translator or tunnel would carry us to a private address), and blocks
# that newer registries reserve. `is_global` alone passes 64:ff9b::a9fe:a9fe, the cloud's metadata.
_REFUSED = tuple(
    ip_network(network)
    for network in (
        "64:ff9b::/96",  # NAT64 (RFC 6052)
        "64:ff9b:1::/48",  # local NAT64 (RFC 8215)
        "2002::/16",  # 6to4 (RFC 3056)
        "2001::/32",  # Teredo (RFC 4380)
        "::/96",  # IPv4-compatible (RFC 4291)
        "::ffff:0:0:0/96",  # IPv4-translated (RFC 2765)
        "fec0::/10",  # site-local (RFC 3879)
        "5f00::/16",  # SRv6 segment identifiers (RFC 9602)
        "3fff::/20",  # documentation (RFC 9637)
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
    )
)


def parse_address(text: str) -> Address:
    """Return the address of a literal, without its zone, and an IPv4-mapped one unwrapped.

    Raises:
        ValueError: not an IP address.
    """
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_public(address: str | Address) -> bool:
    """Return whether the address is a host of the public internet.

    Not public: private, loopback, link-local, multicast, reserved, documentation, and every IPv6
    form that carries an IPv4 address.
    """
    ip = parse_address(str(address))
    return (
        ip.is_global
        and not ip.is_multicast
        and not ip.is_reserved
        and not any(ip in network for network in _REFUSED if network.version == ip.version)
    )


def is_in_networks(address: str | Address, networks: Sequence[str]) -> bool:
    """Return whether the address lies in one of the CIDRs."""
    ip = parse_address(str(address))
    return any(
        ip in network for network in _parsed(tuple(networks)) if network.version == ip.version
    )


def is_allowed(address: str | Address, networks: Sequence[str] = ()) -> bool:
    """Return whether an untrusted URL may lead there: to a public address or an allowed network.

    Args:
        networks: CIDRs, such as `127.0.0.0/8`.
    """
    return is_public(address) or is_in_networks(address, networks)


def refusal(address: str, port: int, networks: Sequence[str]) -> str | None:
    """Return why no connection is made; None where one may be: to a network that the settings
    allow,
    or to a web port of a public address.
    """
    if is_in_networks(address, networks):
        return None
    if not is_public(address):
        return "its address is not public"
    if port not in PUBLIC_PORTS:
        return "only the ports 80 and 443 are open"
    return None


def client_network(address: str) -> str:
    """Return what one client has to itself: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        ip = parse_address(address)
    except ValueError:
        return address
    return str(ip) if ip.version == 4 else str(ip_network((int(ip), 64), strict=False))


def is_loopback(host: str) -> bool:
    """Return whether `host`, a name or an address, is this machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return parse_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=16)
def _parsed(networks: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(network) for network in networks)
