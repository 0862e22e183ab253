"""Forks runs from a process that holds Dagster and the definitions: `python -m ... SOCKET`.

It has one thread, no connection to the database and no gRPC channel, and says so before each fork.
A fork does what `dagster api execute_run` does. When the code has changed the server becomes a
fresh interpreter, with the same process number, socket and children: runs under way go on.
"""

import atexit
import gc
import json
import logging
import os
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dagster._cli.api import execute_run_command
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import deserialize_value, serialize_value
from dagster._utils.hosted_user_process import recon_job_from_origin

from resources.run_launch import GO, NOT_BEGUN, LaunchRequest, send_line
from resources.run_process import RunProcess
from ytcaption_assets.run_server_code import code_state, hold_code, thread_count

READ_S = 1.0
GO_S = 60.0
_BACKLOG = 64
_RESUME = "--resume"

logger = logging.getLogger("run_server")


@dataclass
class Kept:
    """What a fresh interpreter goes on with.

    Attributes:
        listener: descriptor of the socket; None where it is to be made.
        runs: run ids by process number.
        instance_ref: serialized InstanceRef of the latest run.
        code_servers: ids that runs have come from; another one means that code was loaded anew.
    """

    listener: int | None = None
    runs: dict[int, str] = field(default_factory=dict)
    instance_ref: str = ""
    code_servers: list[str] = field(default_factory=list)

    @classmethod
    def from_json(cls, text: str) -> "Kept":
        """What was kept."""
        found = json.loads(text)
        return cls(**found | {"runs": {int(pid): run for pid, run in found["runs"].items()}})


class RunServer:
    """Serves until SIGTERM, and then until its runs have ended."""

    def __init__(self, path: Path, kept: Kept, code: object) -> None:
        self._path = path
        self._kept = kept
        self._code = code
        self._stopping = False
        if kept.listener is None:
            path.unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen(_BACKLOG)
        else:
            self._listener = socket.socket(fileno=kept.listener)
            self._listener.set_inheritable(False)
        self._listener.setblocking(False)
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())

    def serve(self) -> None:
        """Answers, forks and buries."""
        self._bury()
        while self._kept.runs or not self._stopping:
            sources = [self._woken] if self._stopping else [self._woken, self._listener]
            ready, _, _ = select.select(sources, [], [])
            if self._woken in ready:
                with suppress(BlockingIOError):
                    os.read(self._woken, 4096)
                self._bury()
            if self._listener in ready and not self._stopping:
                self._answer()

    def _stop(self) -> None:
        self._stopping = True
        self._path.unlink(missing_ok=True)

    def _answer(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # whoever called has gone
            return
        with connection:
            connection.settimeout(READ_S)
            try:
                self._serve(connection, LaunchRequest.read(connection))
            except Exception as error:  # whatever was sent, the next one is served
                logger.warning("a request was not served: %r", error)

    def _serve(self, connection: socket.socket, request: LaunchRequest) -> None:
        if not request.run_id:
            send_line(connection, {"runs": len(self._kept.runs)})
        elif self._is_stale(request):
            send_line(connection, {"again": True})
            self._become_fresh()
        elif why := self._prepared(request):
            send_line(connection, {"refused": why})
        else:
            pid = self._fork(lambda: _be_the_run(connection, request))
            self._kept.runs[pid] = request.run_id

    def _is_stale(self, request: LaunchRequest) -> bool:
        known = self._kept.code_servers
        is_new = bool(request.code_server) and request.code_server not in known
        if is_new:
            known.append(request.code_server)
        return (is_new and len(known) > 1) or code_state() != self._code

    def _prepared(self, request: LaunchRequest) -> str | None:
        """Everything is ready to fork; why it may not be done, where that is so."""
        if request.executable != sys.executable:
            return "the run is for another interpreter"
        arguments = deserialize_value(request.arguments, ExecuteRunArgs)
        self._kept.instance_ref = serialize_value(arguments.instance_ref)
        with suppress(Exception):  # the run says it better
            recon_job_from_origin(arguments.job_origin).get_definition()  # a cache keeps it
        threads = thread_count()
        return None if threads == 1 else f"the run server has {threads} threads"

    def _become_fresh(self) -> None:
        logger.warning("the code has changed; the run server becomes fresh")
        self._listener.set_inheritable(True)
        self._kept.listener = self._listener.fileno()
        arguments = sys.orig_argv[1:]
        if _RESUME in arguments:
            arguments = arguments[: arguments.index(_RESUME)]
        kept = json.dumps(asdict(self._kept))
        os.execv(sys.executable, [sys.executable, *arguments, _RESUME, kept])  # noqa: S606

    def _fork(self, work: Callable[[], int]) -> int:
        """The number of a process that does the work and ends with its status."""
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            self._leave()
            status = work()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def _leave(self) -> None:
        """Nothing of the server is left in this process."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._listener.close()
        os.close(self._woken)
        os.close(self._wake)
        gc.enable()

    def _bury(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            run_id, exit_code = self._kept.runs.pop(pid, None), os.waitstatus_to_exitcode(status)
            if run_id is None or exit_code in (0, NOT_BEGUN) or self._stopping:
                continue
            if thread_count() == 1:  # else Dagster's run monitoring finds it
                self._settle(run_id, pid, exit_code)

    def _settle(self, run_id: str, pid: int, exit_code: int) -> None:
        from ytcaption_assets.run_server_end import settle_dead_run

        def settle() -> int:
            settle_dead_run(self._kept.instance_ref, run_id, pid, exit_code)
            return 0

        self._fork(settle)


def _be_the_run(connection: socket.socket, request: LaunchRequest) -> int:
    """The exit status of `dagster api execute_run`, done here."""
    send_line(connection, {"process": str(RunProcess.of(os.getpid()))})
    connection.settimeout(GO_S)
    try:
        if connection.recv(len(GO)) != GO:
            return NOT_BEGUN
    except OSError:
        return NOT_BEGUN
    connection.close()
    try:
        execute_run_command.callback(request.arguments, None)  # pyright: ignore[reportOptionalCall]
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    finally:
        # What an interpreter does at its end, but for giving back memory that is shared.
        threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]
        atexit._run_exitfuncs()
    return 0


def main(arguments: list[str]) -> None:
    """Serves on the socket that the first argument names."""
    code = code_state()  # before anything is imported: what changes meanwhile is seen
    kept = Kept.from_json(arguments[2]) if _RESUME in arguments else Kept()
    hold_code()
    gc.disable()
    if (threads := thread_count()) != 1:
        logger.warning("runs start in fresh interpreters: the run server has %d threads", threads)
    RunServer(Path(arguments[0]), kept, code).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
