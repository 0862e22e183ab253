"""Which addresses are public."""

import pytest

from ytcaption.domain.media.addresses import is_allowed, is_public

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001:81b::200e", "::ffff:8.8.8.8"],
)
def test_hosts_of_the_internet_are_public(address: str) -> None:
    """A global unicast address passes, also in its IPv4-mapped form."""
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.1", "192.0.2.1"),
        *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250"),
        *("240.0.0.1", "255.255.255.255", "192.88.99.1"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "::ffff:0:7f00:1"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::"),
        *("2001::1", "2001:db8::1", "fec0::1", "5f00::1", "3fff::1", "100::1"),
    ],
)
def test_other_addresses_are_not_public(address: str) -> None:
    """Private, special, multicast and IPv4-carrying addresses are refused."""
    assert not is_public(address)


def test_a_listed_network_is_allowed_and_no_other() -> None:
    """A CIDR of the settings opens that network only, for mapped addresses too."""
    networks = ("127.0.0.0/8", "fd00::/8")
    assert is_allowed("127.0.0.1", networks)
    assert is_allowed("::ffff:127.0.0.1", networks)
    assert is_allowed("fd00::1", networks)
    assert is_allowed("1.1.1.1", networks)
    assert not is_allowed("10.0.0.1", networks)
    assert not is_allowed("::1", networks)
    assert not is_allowed("127.0.0.1")
