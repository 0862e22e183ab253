"""A child process forked by the child server: like subprocess.Popen, but faster to start."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol, Self

from resources.processes.line_protocol import read_line
from resources.processes.process_identity import RunProcess
from resources.processes.readable import readable
from resources.processes.runtime_directory import runtime_directory

ANSWER_S = 5.0
_AGAIN_S = 0.1


class Child(Protocol):
    """The common interface of subprocess.Popen and ForkedChild."""

    pid: int
    stdin: IO[bytes] | None
    stdout: IO[bytes] | None

    def poll(self) -> int | None:
        """Return the exit code; None while the process runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code. Raises subprocess.TimeoutExpired."""
        ...

    def kill(self) -> None:
        """Kill the process."""
        ...


def child_server_socket(home: Path) -> Path:
    """Return the Unix socket of the child server."""
    return runtime_directory(home) / "children.sock"


def kill_child(pid: int) -> None:
    """Kill a child and all processes it has started."""
    for kill in (os.killpg, os.kill):  # it may not have its own process group yet
        with suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def _await_end(pid: int) -> None:
    """Wait for the end of a child whose server has died: it is killed and must write nothing
    more."""
    kill_child(pid)
    give_up_at = time.monotonic() + ANSWER_S
    while RunProcess.of(pid) is not None and time.monotonic() < give_up_at:
        time.sleep(_AGAIN_S / 10)


class ForkedChild:
    """A process that the child server has forked and watches, in its own session.

    Attributes:
        stdin, stdout: our ends of its pipes.
        is_lost: the server has died, and the child with it.
    """

    def __init__(
        self,
        connection: socket.socket,
        pid: int,
        stdin: IO[bytes],
        stdout: IO[bytes],
    ) -> None:
        self.pid = pid
        self.stdin: IO[bytes] | None = stdin
        self.stdout: IO[bytes] | None = stdout
        self.returncode: int | None = None
        self.is_lost = False
        self._connection = connection

    @classmethod
    def start(
        cls,
        server: Path,
        program: str,
        *,
        environment: Mapping[str, str],
        directory: Path | None = None,
        stderr: int | None = None,
        descriptors: Sequence[int] = (),
    ) -> Self | None:
        """Start a child; return None if no server answers or it refuses.

        Args:
            program: a name that the server knows.
            environment: the child's complete environment.
            directory: its working directory; None: the root.
            stderr: descriptor; None: /dev/null.
            descriptors: more descriptors that it inherits.
        """
        request = {
            "program": program,
            "environment": dict(environment),
            "directory": str(directory or "/"),
        }
        deadline = time.monotonic() + ANSWER_S
        while True:
            try:
                child = cls._request(server, request, stderr, descriptors)
            except (OSError, ValueError):
                return None
            if child is not None or time.monotonic() > deadline:
                return child
            time.sleep(_AGAIN_S)

    @classmethod
    def _request(
        cls,
        server: Path,
        request: Mapping[str, Any],
        stderr: int | None,
        descriptors: Sequence[int],
    ) -> Self | None:
        """Request a child once; return None if the server is restarting.

        Raises:
            OSError, ValueError: there is no server, or it refuses.
        """
        connection: socket.socket | None = socket.socket(socket.AF_UNIX)
        opened: list[int] = []
        try:
            connection.settimeout(ANSWER_S)
            connection.connect(str(server))
            devnull = os.open(os.devnull, os.O_RDWR)
            opened.append(devnull)
            child_stdin, our_stdin = os.pipe()
            opened += [child_stdin, our_stdin]
            our_stdout, child_stdout = os.pipe()
            opened += [our_stdout, child_stdout]
            child_stderr = devnull if stderr is None else stderr
            inherited = [child_stdin, child_stdout, child_stderr, *descriptors]
            socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], inherited)
            response = read_line(connection)
            if "again" in response:
                return None
            if "pid" not in response:
                raise ValueError(response.get("refused", "no answer"))
            opened.remove(our_stdin)
            opened.remove(our_stdout)
            stdin_file, stdout_file = os.fdopen(our_stdin, "wb"), os.fdopen(our_stdout, "rb")
            child = cls(connection, response["pid"], stdin_file, stdout_file)
            connection = None
            return child
        finally:
            for descriptor in opened:
                os.close(descriptor)
            if connection is not None:
                connection.close()

    def poll(self) -> int | None:
        """Return the exit code; None while the child runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code; a negative number is a signal.

        Raises:
            subprocess.TimeoutExpired: the child still runs after `timeout` seconds.
        """
        if self.returncode is None:
            if not readable([self._connection], timeout):
                raise subprocess.TimeoutExpired("child", timeout or 0.0)
            try:
                self.returncode = int(read_line(self._connection)["exit_code"])
            except (OSError, ValueError, KeyError):
                self.returncode, self.is_lost = -signal.SIGKILL, True
                _await_end(self.pid)
            self._connection.close()
        return self.returncode

    def kill(self) -> None:
        """Kill the child and all processes it has started."""
        if self.poll() is None:
            kill_child(self.pid)
