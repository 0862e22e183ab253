"""A process that forks others from what it has imported: the loop that such servers share.

It has one thread. When what it holds is no longer what lies on the disk it becomes a fresh
interpreter, with the same process number, socket and children: what is under way goes on.
"""

import gc
import importlib
import logging
import os
import select
import signal
import socket
import sys
import sysconfig
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

READ_S = 1.0
RESUME = "--resume"
"""Before what a fresh interpreter goes on with."""

_BACKLOG = 64
_OUR_PACKAGES = ("ytcaption", "ytcaption_assets", "resources", "sensors")

logger = logging.getLogger(__name__)


class ForkServer(ABC):
    """Serves until SIGTERM, and then until what it has forked has ended.

    Subclasses answer whoever connects, and hear of the ends.
    """

    def __init__(self, path: Path, listener: int | None = None) -> None:
        """Listens.

        Args:
            path: of the Unix socket.
            listener: its descriptor, where an earlier interpreter has made it.
        """
        self.is_stopping = False
        self._path = path
        if listener is None:
            path.unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen(_BACKLOG)
        else:
            self._listener = socket.socket(fileno=listener)
            self._listener.set_inheritable(False)
        self._listener.setblocking(False)
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())

    @abstractmethod
    def is_busy(self) -> bool:
        """Whether something that was forked has not ended."""

    @abstractmethod
    def answer(self, connection: socket.socket) -> None:
        """Serve who has connected; the connection is the callee's. What it raises is logged."""

    @abstractmethod
    def ended(self, pid: int, exit_code: int) -> None:
        """A forked process has ended, a negative number by that signal."""

    def connections(self) -> Sequence[socket.socket]:
        """What to listen to besides."""
        return ()

    def heard(self, connection: socket.socket) -> None:  # noqa: B027 - by default there are none
        """One of them can be read, or was closed."""

    def serve(self) -> None:
        """Answers, forks and buries."""
        self._reap()
        while self.is_busy() or not self.is_stopping:
            more = self.connections()
            listeners = [] if self.is_stopping else [self._listener]
            ready, _, _ = select.select([self._woken, *listeners, *more], [], [])
            if self._woken in ready:
                with suppress(BlockingIOError):
                    os.read(self._woken, 4096)
                self._reap()
            for connection in more:
                if connection in ready:
                    self.heard(connection)
            if self._listener in ready and not self.is_stopping:
                self._accept()

    def fork(self, work: Callable[[], int]) -> int:
        """The number of a process that does the work and ends with its status."""
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            self.leave()
            status = work()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def leave(self) -> None:
        """In the fork: nothing of the server is left."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._listener.close()
        os.close(self._woken)
        os.close(self._wake)
        gc.enable()

    def become_fresh(self, kept: Callable[[int], str]) -> None:
        """Does not come back.

        Args:
            kept: told the descriptor of the socket, what the fresh interpreter goes on with.
        """
        logger.warning("the code has changed; the server becomes fresh")
        self._listener.set_inheritable(True)
        arguments = sys.orig_argv[1:]
        if RESUME in arguments:
            arguments = arguments[: arguments.index(RESUME)]
        resumed = [RESUME, kept(self._listener.fileno())]
        os.execv(sys.executable, [sys.executable, *arguments, *resumed])  # noqa: S606

    def _stop(self) -> None:
        self.is_stopping = True
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # whoever called has gone
            return
        connection.settimeout(READ_S)
        try:
            self.answer(connection)
        except Exception as error:  # whatever was sent, the next one is served
            logger.warning("a request was not served: %r", error)
            connection.close()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.ended(pid, os.waitstatus_to_exitcode(status))


def code_state() -> tuple[tuple[str, int, int], ...]:
    """Path, time and size of all that decides what a fresh interpreter would run: our own files,
    the lists of what is installed, the interpreter's configuration and `.env`."""
    found = []
    for path in _watched():
        with suppress(OSError):  # it is not there, as `.env` as a rule
            status = path.stat()
            found.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(sorted(found))


def hold(modules: Sequence[str]) -> None:
    """Import what forks need, and keep the garbage collector from touching it: a page that nobody
    writes to is shared with every fork."""
    for name in modules:
        with suppress(ImportError):  # the fork that needs it says so
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def thread_count() -> int:
    """Threads of this process, those of C libraries included."""
    return len(list(Path("/proc/self/task").iterdir()))


def _watched() -> Iterator[Path]:
    for name in _OUR_PACKAGES:
        for folder in importlib.import_module(name).__path__:
            yield from Path(folder).rglob("*.py")
    yield from (Path(sysconfig.get_path(scheme)) for scheme in ("purelib", "platlib"))
    yield Path(sys.prefix) / "pyvenv.cfg"
    yield Path(".env")
