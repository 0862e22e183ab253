"""Waiting for data on pipes and sockets."""

import os
import socket

import pytest

from resources.processes.readable import readable
from tests.support.descriptors import many_descriptors

pytestmark = pytest.mark.unit


def test_sources_with_data_are_returned():
    """A closed other end counts; sources may be descriptors or objects."""
    reading, writing = os.pipe()
    ours, theirs = socket.socketpair()
    try:
        assert readable([reading, ours], 0) == []
        os.write(writing, b"x")
        assert readable([reading, ours]) == [reading]
        theirs.close()
        assert readable([reading, ours], 1) == [reading, ours]
    finally:
        ours.close()
        os.close(reading)
        os.close(writing)


def test_descriptors_above_1023_are_watched():
    """`select.select` raises ValueError for them."""
    with many_descriptors():
        ours, theirs = socket.socketpair()
        with ours, theirs:
            assert ours.fileno() > 1_023
            theirs.sendall(b"x")
            assert readable([ours], 1) == [ours]
