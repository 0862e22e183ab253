"""A child process of the child server, where one answers: as subprocess.Popen, but quicker."""

import json
import os
import select
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
from resources.processes.runtime_directory import runtime_directory

ANSWER_S = 5.0
_AGAIN_S = 0.1


class Child(Protocol):
    """What callers use of a process, subprocess.Popen or ForkedChild."""

    pid: int
    stdin: IO[bytes] | None
    stdout: IO[bytes] | None

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises subprocess.TimeoutExpired."""
        ...

    def kill(self) -> None:
        """End it."""
        ...


def child_server_socket(home: Path) -> Path:
    """The Unix socket of the process that children are forked from."""
    return runtime_directory(home) / "children.sock"


def kill_child(pid: int) -> None:
    """End a child and all that it has started."""
    for kill in (os.killpg, os.kill):  # it may not have a group of its own yet
        with suppress(ProcessLookupError):
            kill(pid, signal.SIGKILL)


def _await_end(pid: int) -> None:
    """Of a child whose server has died: it is being killed, too, and must write nothing more."""
    kill_child(pid)
    give_up_at = time.monotonic() + ANSWER_S
    while RunProcess.of(pid) is not None and time.monotonic() < give_up_at:
        time.sleep(_AGAIN_S / 10)


class ForkedChild:
    """A process that the child server has forked and watches; in a session of its own.

    Attributes:
        stdin, stdout: our ends of its pipes.
        is_lost: its server has died, and it with it.
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
        """Have a child forked; None where no server answers, or it would not.

        Args:
            program: a name that the server knows.
            environment: all of the child's.
            directory: it works in; None: the root.
            stderr: descriptor; None: nowhere.
            descriptors: what else it gets.
        """
        order = {
            "program": program,
            "environment": dict(environment),
            "directory": str(directory or "/"),
        }
        deadline = time.monotonic() + ANSWER_S
        while True:
            try:
                child = cls._ask(server, order, stderr, descriptors)
            except (OSError, ValueError):
                return None
            if child is not None or time.monotonic() > deadline:
                return child
            time.sleep(_AGAIN_S)

    @classmethod
    def _ask(
        cls,
        server: Path,
        order: Mapping[str, Any],
        stderr: int | None,
        descriptors: Sequence[int],
    ) -> Self | None:
        """None: the server becomes fresh.

        Raises:
            OSError, ValueError: there is none, or it would not.
        """
        connection: socket.socket | None = socket.socket(socket.AF_UNIX)
        opened: list[int] = []
        try:
            connection.settimeout(ANSWER_S)
            connection.connect(str(server))
            nowhere = os.open(os.devnull, os.O_RDWR)
            opened.append(nowhere)
            stdin, ours_in = os.pipe()
            opened += [stdin, ours_in]
            ours_out, stdout = os.pipe()
            opened += [ours_out, stdout]
            theirs = [stdin, stdout, nowhere if stderr is None else stderr, *descriptors]
            socket.send_fds(connection, [json.dumps(order).encode() + b"\n"], theirs)
            answer = read_line(connection)
            if "again" in answer:
                return None
            if "pid" not in answer:
                raise ValueError(answer.get("refused", "no answer"))
            opened.remove(ours_in)
            opened.remove(ours_out)
            stdin_file, stdout_file = os.fdopen(ours_in, "wb"), os.fdopen(ours_out, "rb")
            child = cls(connection, answer["pid"], stdin_file, stdout_file)
            connection = None
            return child
        finally:
            for descriptor in opened:
                os.close(descriptor)
            if connection is not None:
                connection.close()

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, a negative number by that signal.

        Raises:
            subprocess.TimeoutExpired: it still runs after so many seconds.
        """
        if self.returncode is None:
            readable, _, _ = select.select([self._connection], [], [], timeout)
            if not readable:
                raise subprocess.TimeoutExpired("child", timeout or 0.0)
            try:
                self.returncode = int(read_line(self._connection)["exit_code"])
            except (OSError, ValueError, KeyError):
                self.returncode, self.is_lost = -signal.SIGKILL, True
                _await_end(self.pid)
            self._connection.close()
        return self.returncode

    def kill(self) -> None:
        """End it and all that it has started."""
        if self.poll() is None:
            kill_child(self.pid)
