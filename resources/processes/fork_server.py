"""The loop shared by servers that fork processes which then need no imports of their own.

A server has one thread. When the code on the disk changes it replaces itself by a new interpreter
with the same process number, socket and children, so that running children continue.
"""

import gc
import importlib
import logging
import os
import signal
import socket
import sys
import sysconfig
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from resources.processes.readable import readable
from ytcaption.domain.errors import SetupError
from ytcaption.settings.settings_file import settings_file

READ_S = 1.0
RESUME = "--resume"
"""Command line option before the state that a new interpreter continues with."""

_BACKLOG = 64
_OUR_PACKAGES = ("ytcaption", "ytcaption_assets", "resources", "sensors")

logger = logging.getLogger(__name__)


class ForkServer(ABC):
    """Serves until SIGTERM, and then until all forked processes have ended.

    Subclasses handle connections and the exits of forked processes.
    """

    def __init__(self, path: Path, listener: int | None = None) -> None:
        """Start to listen.

        Args:
            path: of the Unix socket.
            listener: the socket's descriptor, if an earlier interpreter has created it.
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
        """Return whether a forked process is still running."""

    @abstractmethod
    def handle(self, connection: socket.socket) -> None:
        """Serve a new connection, which the callee owns. Exceptions are logged."""

    @abstractmethod
    def on_exit(self, pid: int, exit_code: int) -> None:
        """Handle the exit of a forked process; a negative exit code is a signal."""

    def connections(self) -> Sequence[socket.socket]:
        """Return the open connections to watch."""
        return ()

    def on_readable(self, connection: socket.socket) -> None:  # noqa: B027 - none by default
        """Handle a watched connection that can be read or was closed."""

    def serve(self) -> None:
        """Handle connections and exits until the server is stopped and idle."""
        self._reap()
        while self.is_busy() or not self.is_stopping:
            watched = self.connections()
            listeners = [] if self.is_stopping else [self._listener]
            ready = readable([self._woken, *listeners, *watched])
            if self._woken in ready:
                with suppress(BlockingIOError):
                    os.read(self._woken, 4096)
                self._reap()
            for connection in watched:
                if connection in ready:
                    self.on_readable(connection)
            if self._listener in ready and not self.is_stopping:
                self._accept()

    def fork(self, work: Callable[[], int]) -> int:
        """Fork a process that does the work and exits with its status; return its process
        number."""
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            self.release_after_fork()
            status = work()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def release_after_fork(self) -> None:
        """Release the server's descriptors and signal handlers in a forked process."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._listener.close()
        os.close(self._woken)
        os.close(self._wake)
        gc.enable()

    def restart_interpreter(self, state: Callable[[int], str]) -> None:
        """Replace this process by a new interpreter; does not return.

        Args:
            state: returns the state that the new interpreter continues with, given the descriptor
                of the socket.
        """
        logger.warning("the code has changed: restarting the server's interpreter")
        self._listener.set_inheritable(True)
        arguments = sys.orig_argv[1:]
        if RESUME in arguments:
            arguments = arguments[: arguments.index(RESUME)]
        resumed = [RESUME, state(self._listener.fileno())]
        os.execv(sys.executable, [sys.executable, *arguments, *resumed])  # noqa: S606

    def _stop(self) -> None:
        self.is_stopping = True
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # the client has disconnected
            return
        connection.settimeout(READ_S)
        try:
            self.handle(connection)
        except Exception as error:  # the next request is served
            logger.warning("a request failed: %r", error)
            connection.close()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self.on_exit(pid, os.waitstatus_to_exitcode(status))


def code_fingerprint() -> tuple[tuple[str, int, int], ...]:
    """Return path, time and size of everything that decides what a new interpreter would run.

    That is our own files, the folders of installed packages, the interpreter's configuration and
    the file of settings.
    """
    entries = []
    for path in _watched_paths():
        with suppress(OSError):  # a missing file
            status = path.stat()
            entries.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(sorted(entries))


def preload_modules(modules: Sequence[str]) -> None:
    """Import what forked processes need and exempt it from garbage collection.

    A memory page that is never written to is shared with every forked process.
    """
    for name in modules:
        with suppress(ImportError):  # the process that needs it reports that
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def thread_count() -> int:
    """Return the number of threads of this process, including those of C libraries."""
    return len(list(Path("/proc/self/task").iterdir()))


def _watched_paths() -> Iterator[Path]:
    for name in _OUR_PACKAGES:
        for folder in importlib.import_module(name).__path__:
            yield from Path(folder).rglob("*.py")
    yield from (Path(sysconfig.get_path(scheme)) for scheme in ("purelib", "platlib"))
    yield Path(sys.prefix) / "pyvenv.cfg"
    with suppress(SetupError):  # the process that needs it reports that
        if (file := settings_file()) is not None:
            yield file
