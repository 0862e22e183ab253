"""Forks the processes that touch what strangers serve, by what it is asked on a Unix socket.

A fresh interpreter takes a third of a second of CPU to import yt-dlp, and a tenth for FFmpeg. This
one has imported them, and nothing else: it knows no setting, has no secret in its environment and
no connection, so a fork of it knows no more than a fresh interpreter would. Each child takes its
limits by itself, as ever (`youtube_child`, `audio_decoder_child`).

Who connects sends one JSON line and the descriptors that become the child's 0, 1, 2 and others. The
answer is `pid`, and at the child's end `exit_code`; or `again`, or `refused` and why. Hanging up
kills the child and all that it has started. A child does nothing before it has read what to do from
its standard input: one that comes too late, to somebody who has another by then, ends.
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

from resources.audio import decoder_child as audio_decoder_child
from resources.channels.listing import child as listing_child
from resources.download import download_child as youtube_child
from resources.processes.fork_server import RESUME, ForkServer, code_state, hold, thread_count
from resources.processes.forked_child import kill_child
from resources.processes.line_protocol import send_line

MOST_DESCRIPTORS = 4
LONGEST_ORDER = 64 * 1024

ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # else numpy starts threads when it is imported
    "PYTHONDONTWRITEBYTECODE": "1",
    "YTDLP_NO_PLUGINS": "1",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
    "LANG": "C.UTF-8",
    "PATH": os.defpath,
}
_KEPT = ("PYTHONPATH", "YTCAPTION_UP")  # the latter names it to those who look for leftovers
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
class Order:
    """A child to fork.

    Attributes:
        program: of PROGRAMS; empty: only a question whether the server is there.
        environment: all of the child's.
        directory: it works in.
    """

    program: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    directory: str = "/"


@dataclass
class Kept:
    """What a fresh interpreter goes on with.

    Attributes:
        listener: descriptor of the socket; None where it is to be made.
        children: descriptor of the connection by process number.
    """

    listener: int | None = None
    children: dict[int, int] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> "Kept":
        """What was kept."""
        found = json.loads(text)
        return cls(found["listener"], {int(pid): fd for pid, fd in found["children"].items()})


def _download(_more: Sequence[int]) -> int:
    youtube_child.main()
    return 0


def _list(_more: Sequence[int]) -> int:
    listing_child.main()
    return 0


def _decode(more: Sequence[int]) -> int:
    line = sys.stdin.buffer.readline()
    if not line:
        return 1  # whoever wanted it has given it up, and has another one by now
    request = json.loads(line)
    limits = request["limits"] | {"parent_pid": os.getppid()}
    audio_decoder_child.carry_out(request | {"limits": limits, "output": more[0] if more else None})
    return 0


PROGRAMS: dict[str, Callable[[Sequence[int]], int]] = {
    "download": _download,
    "listing": _list,
    "decode": _decode,
}


class ChildServer(ForkServer):
    """Serves until SIGTERM, and then until its children have ended."""

    def __init__(self, path: Path, kept: Kept, code: object) -> None:
        super().__init__(path, kept.listener)
        self._code = code
        self._children = {pid: socket.socket(fileno=fd) for pid, fd in kept.children.items()}
        for connection in self._children.values():
            connection.set_inheritable(False)

    def is_busy(self) -> bool:
        """Whether a child has not ended."""
        return bool(self._children)

    def connections(self) -> Sequence[socket.socket]:
        """Those whose children have not ended."""
        return [each for each in self._children.values() if each.fileno() >= 0]

    def heard(self, connection: socket.socket) -> None:
        """Nobody says anything: whoever wanted the child has gone."""
        pid = next(pid for pid, each in self._children.items() if each is connection)
        with suppress(OSError):
            if connection.recv(1):
                return
        connection.close()
        kill_child(pid)

    def answer(self, connection: socket.socket) -> None:
        """A child, or why there is none."""
        line, descriptors, _, _ = socket.recv_fds(connection, LONGEST_ORDER, MOST_DESCRIPTORS)
        try:
            while line and not line.endswith(b"\n") and len(line) < LONGEST_ORDER:
                part = connection.recv(LONGEST_ORDER)
                if not part:
                    break
                line += part
            order = Order(**json.loads(line))
            self._serve(connection, order, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def ended(self, pid: int, exit_code: int) -> None:
        """Told to whoever has wanted the child."""
        connection = self._children.pop(pid, None)
        if connection is not None and connection.fileno() >= 0:
            with connection, suppress(OSError):
                send_line(connection, {"exit_code": exit_code})

    def leave(self) -> None:
        """Nothing of other children, either."""
        super().leave()
        for connection in self._children.values():
            connection.close()

    def _serve(self, connection: socket.socket, order: Order, descriptors: Sequence[int]) -> None:
        if not order.program:
            send_line(connection, {"children": len(self._children)})
            connection.close()
        elif code_state() != self._code:
            send_line(connection, {"again": True})
            connection.close()
            self.become_fresh(self._resumed)
        elif why := _why_not(order, descriptors):
            send_line(connection, {"refused": why})
            connection.close()
        else:
            pid = self.fork(lambda: _be_the_child(connection, order, descriptors))
            self._children[pid] = connection
            try:
                send_line(connection, {"pid": pid})
            except OSError:  # nobody wants it any more
                kill_child(pid)
                raise

    def _resumed(self, listener: int) -> str:
        children = {}
        for pid, connection in self._children.items():
            if connection.fileno() >= 0:
                connection.set_inheritable(True)
                children[pid] = connection.fileno()
        return json.dumps(asdict(Kept(listener, children)))


def _why_not(order: Order, descriptors: Sequence[int]) -> str | None:
    if order.program not in PROGRAMS:
        return f"no such program: {order.program}"
    if len(descriptors) < 3:
        return "a child has standard input, output and error"
    threads = thread_count()
    return None if threads == 1 else f"the server has {threads} threads"


def _be_the_child(connection: socket.socket, order: Order, descriptors: Sequence[int]) -> int:
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return 1
    connection.close()
    os.setsid()
    for wanted, descriptor in enumerate(descriptors[:3]):
        os.dup2(descriptor, wanted)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(order.environment)
    tempfile.tempdir = None
    os.chdir(order.directory)
    return PROGRAMS[order.program](descriptors[3:])


def main(arguments: Sequence[str]) -> None:
    """Serves on the socket that the first argument names."""
    code = code_state()  # before anything is imported: what changes meanwhile is seen
    kept = Kept.from_json(arguments[2]) if RESUME in arguments else Kept()
    hold(_MODULES)
    gc.disable()
    ChildServer(Path(arguments[0]), kept, code).serve()


def _environment() -> dict[str, str]:
    return ENVIRONMENT | {name: os.environ[name] for name in _KEPT if name in os.environ}


if __name__ == "__main__":
    clean: Any = _environment()
    if dict(os.environ) != clean:
        # What this process was started with is in its memory, and would be in each child's.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], clean)  # noqa: S606
    main(sys.argv[1:])
