"""Is a port free, and who holds it if not."""

import errno
import socket
from pathlib import Path

import psutil

from ytcaption.domain.errors import SetupError


def take_port(host: str, port: int, setting: str) -> int:
    """The port, when nothing listens on it; with 0, any free one.

    Args:
        host: a name or address of this machine.
        port: 0 to 65,535.
        setting: what to change when it is taken, such as `YTCAPTION_API_PORT`.

    Raises:
        SetupError: naming the port, who holds it where that can be seen, and the setting.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise SetupError(f"{host} is no address of this machine. Change {setting}.") from error
    with socket.socket(family, kind, protocol) as listener:
        # As the servers do: connections in TIME_WAIT after a restart are no reason to refuse.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            return listener.getsockname()[1]
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise SetupError(
                    f"Port {port} is in use{_by(port)}. "
                    f"Stop that, or set {setting} to another port."
                ) from error
            raise SetupError(
                f"Cannot listen on {host}:{port}: {error.strerror}. Change {setting}."
            ) from error


def in_url(host: str) -> str:
    """The host as a URL has it: an IPv6 address in brackets."""
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
                shown = " ".join([Path(command[0]).name, *command[1:]]) if command else "?"
                return f" by process {connection.pid} ({shown[:80]})"
    except psutil.Error:
        pass  # another user's process: the port alone must do
    return ""
