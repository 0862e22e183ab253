"""Ports and addresses are checked before anything starts."""

import os
import socket

import pytest

from ytcaption.domain.errors import SetupError
from ytcaption_assets.cli.up.ports import free_port


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_port_in_use_is_reported_with_its_process_and_the_setting(listener):
    """The message says what to stop or what to change."""
    port = listener.getsockname()[1]
    expected = rf"Port {port} is in use by process {os.getpid()} \(.*\)\..*YTCAPTION_API_PORT"
    with pytest.raises(SetupError, match=expected):
        free_port("127.0.0.1", port, "YTCAPTION_API_PORT")


def test_a_port_that_was_just_closed_is_free(listener):
    """Connections in TIME_WAIT do not delay a restart."""
    address = listener.getsockname()
    with socket.create_connection(address) as client:
        accepted, _ = listener.accept()
        accepted.close()  # the side that closes first keeps the TIME_WAIT
        client.recv(1)
    listener.close()
    assert free_port(*address, "YTCAPTION_API_PORT") == address[1]


def test_port_zero_is_any_free_port():
    """Tests and second installations use it."""
    assert free_port("127.0.0.1", 0, "YTCAPTION_API_PORT") > 0


def test_an_address_of_another_machine_is_refused():
    """No machine has 192.0.2.1 (RFC 5737)."""
    with pytest.raises(SetupError, match=r"Cannot listen on 192\.0\.2\.1:8000"):
        free_port("192.0.2.1", 8000, "YTCAPTION_API_HOST")
