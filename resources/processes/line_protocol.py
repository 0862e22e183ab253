"""One JSON object per line over a Unix socket."""

import json
import socket
from typing import Any

_LONGEST_LINE = 1024 * 1024


def send_line(connection: socket.socket, message: dict[str, Any]) -> None:
    """Send one JSON object."""
    connection.sendall(json.dumps(message).encode() + b"\n")


def read_line(connection: socket.socket) -> dict[str, Any]:
    """Receive the next JSON object.

    Raises:
        ConnectionError: the other side has closed the connection.
        OSError: it did not arrive in time.
        ValueError: it is not a JSON object.
    """
    line = b""
    while not line.endswith(b"\n"):
        part = connection.recv(65536)
        if not part:
            raise ConnectionResetError("closed before the end of the line")
        line += part
        if len(line) > _LONGEST_LINE:
            raise ValueError("the line is too long")
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("not a JSON object")
    return message
