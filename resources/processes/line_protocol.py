"""One JSON object a line over a Unix socket."""

import json
import socket
from typing import Any

_LONGEST_LINE = 1024 * 1024


def send_line(connection: socket.socket, answer: dict[str, Any]) -> None:
    """Write one JSON object."""
    connection.sendall(json.dumps(answer).encode() + b"\n")


def read_line(connection: socket.socket) -> dict[str, Any]:
    """The JSON object that comes next.

    Raises:
        ConnectionError: the other side has closed.
        OSError: it did not come in time.
        ValueError: it is no JSON object.
    """
    line = b""
    while not line.endswith(b"\n"):
        part = connection.recv(65536)
        if not part:
            raise ConnectionResetError("closed before the line's end")
        line += part
        if len(line) > _LONGEST_LINE:
            raise ValueError("the line is too long")
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found
