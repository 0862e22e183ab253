"""Checking that a port is free, and finding the process that uses it."""

import errno
import socket
from pathlib import Path

import psutil

from ytcaption.domain.errors import SetupError


def free_port(host: str, port: int, setting: str) -> int:
    """Return the port if nothing listens on it; for 0, any free port.

    Args:
        host: a name or address of this machine.
        port: 0 to 65,535.
        setting: the variable to change if the port is in use, such as `YTCAPTION_API_PORT`.

    Raises:
        SetupError: it is in use; the message has the port, the process if known, and the setting.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise SetupError(f"{host} is not an address of this machine. Change {setting}.") from error
    with socket.socket(family, kind, protocol) as listener:
        # As the servers do, so that connections in TIME_WAIT after a restart do not matter.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            return listener.getsockname()[1]
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise SetupError(
                    f"Port {port} is in use{_by(port)}. "
                    f"Stop that process, or set {setting} to another port."
                ) from error
            raise SetupError(
                f"Cannot listen on {host}:{port}: {error.strerror}. Change {setting}."
            ) from error


def in_url(host: str) -> str:
    """Return the host for use in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def _by(port: int) -> str:
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr.port == port
                and connection.pid
            ):
                command = psutil.Process(connection.pid).cmdline()
                text = " ".join([Path(command[0]).name, *command[1:]]) if command else "?"
                return f" by process {connection.pid} ({text[:80]})"
    except psutil.Error:
        pass  # another user's process
    return ""
