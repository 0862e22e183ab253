"""Server that forks the processes which handle untrusted data, on request over a Unix socket.

A new interpreter takes a third of a second of CPU to import yt-dlp, and a tenth for FFmpeg. This
server has imported them, and nothing else: it has no settings, no secret in its environment and no
connection, so a forked child has no more access than a new interpreter. Each child sets its own
limits, as it does without the server (`download_child`, `decoder_child`).

A client sends one JSON line and the descriptors that become the child's 0, 1, 2 and others. The
response is `pid`, and `exit_code` when the child ends; or `again`, or `refused` with the reason.
Closing the connection kills the child and its descendants. A child does nothing before it has read
its request from standard input: if it starts too late, after the client gave up, it exits.
"""

import ctypes
import gc
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from resources.audio import decoder_child
from resources.channels.listing import child as listing_child
from resources.download import download_child
from resources.processes.fork_server import (
    RESUME,
    ForkServer,
    code_fingerprint,
    preload_modules,
    thread_count,
)
from resources.processes.forked_child import kill_child
from resources.processes.line_protocol import send_line

MAX_DESCRIPTORS = 4
MAX_REQUEST_BYTES = 64 * 1024

ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # otherwise numpy starts threads when it is imported
    "PYTHONDONTWRITEBYTECODE": "1",
    "YTDLP_NO_PLUGINS": "1",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
    "LANG": "C.UTF-8",
    "PATH": os.defpath,
}
_PASSED_ON = ("PYTHONPATH", "YTCAPTION_UP")  # the latter marks it for the search for orphans
_MODULES = (
    "resources.download.captions",
    "resources.download.errors",
    "resources.channels.listing.feed_items",
    "resources.channels.listing.ytdlp_lists",
    "resources.download.media_downloader",
    "deno",
    "encodings.idna",
    "av",
    "numpy",
)
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ForkRequest:
    """A request for a child.

    Attributes:
        program: a key of PROGRAMS; empty: only check that the server answers.
        environment: the child's complete environment.
        directory: the child's working directory.
    """

    program: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    directory: str = "/"


@dataclass
class ServerState:
    """The state that a new interpreter of the server continues with.

    Attributes:
        listener: descriptor of the socket; None if it has to be created.
        children: descriptor of the connection by process number.
    """

    listener: int | None = None
    children: dict[int, int] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> "ServerState":
        """Read the state from JSON."""
        values = json.loads(text)
        return cls(values["listener"], {int(pid): fd for pid, fd in values["children"].items()})


def _download(_descriptors: Sequence[int]) -> int:
    download_child.main()
    return 0


def _list(_descriptors: Sequence[int]) -> int:
    listing_child.main()
    return 0


def _decode(descriptors: Sequence[int]) -> int:
    line = sys.stdin.buffer.readline()
    if not line:
        return 1  # the client has given up and started another process
    request = json.loads(line)
    limits = request["limits"] | {"parent_pid": os.getppid()}
    output = descriptors[0] if descriptors else None
    decoder_child.run(request | {"limits": limits, "output": output})
    return 0


PROGRAMS: dict[str, Callable[[Sequence[int]], int]] = {
    "download": _download,
    "listing": _list,
    "decode": _decode,
}


class ChildServer(ForkServer):
    """Serves until SIGTERM, and then until its children have ended."""

    def __init__(self, path: Path, state: ServerState, code: object) -> None:
        super().__init__(path, state.listener)
        self._code = code
        self._children = {pid: socket.socket(fileno=fd) for pid, fd in state.children.items()}
        for connection in self._children.values():
            connection.set_inheritable(False)

    def is_busy(self) -> bool:
        """Return whether a child is still running."""
        return bool(self._children)

    def connections(self) -> Sequence[socket.socket]:
        """Return the open connections of running children."""
        return [each for each in self._children.values() if each.fileno() >= 0]

    def on_readable(self, connection: socket.socket) -> None:
        """Kill the child of a connection that was closed; clients send nothing else."""
        pid = next(pid for pid, each in self._children.items() if each is connection)
        with suppress(OSError):
            if connection.recv(1):
                return
        connection.close()
        kill_child(pid)

    def handle(self, connection: socket.socket) -> None:
        """Fork a child, or respond why not."""
        line, descriptors, _, _ = socket.recv_fds(connection, MAX_REQUEST_BYTES, MAX_DESCRIPTORS)
        try:
            while line and not line.endswith(b"\n") and len(line) < MAX_REQUEST_BYTES:
                part = connection.recv(MAX_REQUEST_BYTES)
                if not part:
                    break
                line += part
            self._serve(connection, ForkRequest(**json.loads(line)), descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def on_exit(self, pid: int, exit_code: int) -> None:
        """Send the exit code to the child's client."""
        connection = self._children.pop(pid, None)
        if connection is not None and connection.fileno() >= 0:
            with connection, suppress(OSError):
                send_line(connection, {"exit_code": exit_code})

    def release_after_fork(self) -> None:
        """Release also the connections of other children."""
        super().release_after_fork()
        for connection in self._children.values():
            connection.close()

    def _serve(
        self, connection: socket.socket, request: ForkRequest, descriptors: Sequence[int]
    ) -> None:
        if not request.program:
            send_line(connection, {"children": len(self._children)})
            connection.close()
        elif code_fingerprint() != self._code:
            send_line(connection, {"again": True})
            connection.close()
            self.restart_interpreter(self._state)
        elif reason := _refusal(request, descriptors):
            send_line(connection, {"refused": reason})
            connection.close()
        else:
            pid = self.fork(lambda: _run_child(connection, request, descriptors))
            self._children[pid] = connection
            try:
                send_line(connection, {"pid": pid})
            except OSError:  # the client has disconnected
                kill_child(pid)
                raise

    def _state(self, listener: int) -> str:
        children = {}
        for pid, connection in self._children.items():
            if connection.fileno() >= 0:
                connection.set_inheritable(True)
                children[pid] = connection.fileno()
        return json.dumps(asdict(ServerState(listener, children)))


def _refusal(request: ForkRequest, descriptors: Sequence[int]) -> str | None:
    if request.program not in PROGRAMS:
        return f"no such program: {request.program}"
    if len(descriptors) < 3:
        return "a child needs standard input, output and error"
    threads = thread_count()
    return None if threads == 1 else f"the server has {threads} threads"


def _run_child(connection: socket.socket, request: ForkRequest, descriptors: Sequence[int]) -> int:
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return 1
    connection.close()
    os.setsid()
    for number, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request.environment)
    tempfile.tempdir = None
    os.chdir(request.directory)
    return PROGRAMS[request.program](descriptors[3:])


def main(arguments: Sequence[str]) -> None:
    """Serve on the socket named by the first argument."""
    code = code_fingerprint()  # before any import, so that later changes are detected
    state = ServerState.from_json(arguments[2]) if RESUME in arguments else ServerState()
    preload_modules(_MODULES)
    gc.disable()
    ChildServer(Path(arguments[0]), state, code).serve()


def _environment() -> dict[str, str]:
    return ENVIRONMENT | {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


if __name__ == "__main__":
    clean: Any = _environment()
    if dict(os.environ) != clean:
        # The environment of this process is in its memory, and would be in each child's.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], clean)  # noqa: S606
    main(sys.argv[1:])
