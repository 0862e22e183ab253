"""The run server: forks runs from a process that has loaded Dagster and the definitions.

Started as `python -m ytcaption_assets.run_server.server SOCKET`. It has one thread, which it checks
before each fork, no database connection and no gRPC channel. A fork does what `dagster api
execute_run` does. When the code has changed, the server replaces itself by a fresh interpreter with
the same process id, socket and children: running runs go on.
"""

import atexit
import gc
import json
import logging
import os
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dagster import deserialize_value, serialize_value

from resources.orchestration.dagster_internals import (
    ExecuteRunArgs,
    execute_run_command,
    recon_job_from_origin,
)
from resources.orchestration.launch_protocol import GO, NOT_BEGUN, LaunchRequest
from resources.processes.fork_server import RESUME, ForkServer, code_fingerprint, thread_count
from resources.processes.line_protocol import send_line
from resources.processes.process_identity import RunProcess
from ytcaption_assets.run_server.preload import hold_code

GO_S = 60.0
"""Seconds a forked process waits for GO."""

logger = logging.getLogger("run_server")


@dataclass
class ServerState:
    """State that a fresh interpreter takes over.

    Attributes:
        listener: file descriptor of the socket; None if it is not open yet.
        runs: run ids by process id.
        instance_ref: serialized InstanceRef of the latest run.
        code_servers: ids of the code servers that created runs; a new id means reloaded code.
    """

    listener: int | None = None
    runs: dict[int, str] = field(default_factory=dict)
    instance_ref: str = ""
    code_servers: list[str] = field(default_factory=list)

    @classmethod
    def from_json(cls, text: str) -> "ServerState":
        """Return the state encoded as JSON."""
        state = json.loads(text)
        return cls(**state | {"runs": {int(pid): run for pid, run in state["runs"].items()}})


class RunServer(ForkServer):
    """Serves until SIGTERM, then until its runs have ended."""

    def __init__(self, path: Path, state: ServerState, code: object) -> None:
        super().__init__(path, state.listener)
        self._state = state
        self._code = code

    def is_busy(self) -> bool:
        """Whether a run is still running."""
        return bool(self._state.runs)

    def handle(self, connection: socket.socket) -> None:
        """Answer one request: start a run, or refuse it."""
        with connection:
            self._serve(connection, LaunchRequest.read(connection))

    def on_exit(self, pid: int, exit_code: int) -> None:
        """Report a run whose process ended with an error as failed."""
        run_id = self._state.runs.pop(pid, None)
        if run_id is None or exit_code in (0, NOT_BEGUN) or self.is_stopping:
            return
        if thread_count() == 1:  # otherwise Dagster's run monitoring finds it
            self._settle(run_id, pid, exit_code)

    def _serve(self, connection: socket.socket, request: LaunchRequest) -> None:
        if not request.run_id:
            send_line(connection, {"runs": len(self._state.runs)})
        elif self._is_stale(request):
            send_line(connection, {"again": True})
            self.restart_interpreter(self._resumed)
        elif reason := self._prepare(request):
            send_line(connection, {"refused": reason})
        else:
            pid = self.fork(lambda: _execute_run(connection, request))
            self._state.runs[pid] = request.run_id

    def _is_stale(self, request: LaunchRequest) -> bool:
        known = self._state.code_servers
        is_new = bool(request.code_server) and request.code_server not in known
        if is_new:
            known.append(request.code_server)
        return (is_new and len(known) > 1) or code_fingerprint() != self._code

    def _prepare(self, request: LaunchRequest) -> str | None:
        """Prepare a fork. Return why the run must not be forked, or None."""
        if request.executable != sys.executable:
            return "the run is for another interpreter"
        arguments = deserialize_value(request.arguments, ExecuteRunArgs)
        self._state.instance_ref = serialize_value(arguments.instance_ref)
        with suppress(Exception):  # the run reports the error better
            recon_job_from_origin(arguments.job_origin).get_definition()  # loads it into a cache
        threads = thread_count()
        return None if threads == 1 else f"the run server has {threads} threads"

    def _resumed(self, listener: int) -> str:
        self._state.listener = listener
        return json.dumps(asdict(self._state))

    def _settle(self, run_id: str, pid: int, exit_code: int) -> None:
        from ytcaption_assets.run_server.settle import settle_dead_run

        def settle() -> int:
            settle_dead_run(self._state.instance_ref, run_id, pid, exit_code)
            return 0

        self.fork(settle)


def _execute_run(connection: socket.socket, request: LaunchRequest) -> int:
    """Execute the run in this process; return the exit status of `dagster api execute_run`."""
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
        # Does what an interpreter does at its end, except freeing memory, which is shared.
        threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]
        atexit._run_exitfuncs()
    return 0


def main(arguments: list[str]) -> None:
    """Serve on the socket that the first argument names."""
    code = code_fingerprint()  # before any import, so that changes during the imports are noticed
    state = ServerState.from_json(arguments[2]) if RESUME in arguments else ServerState()
    hold_code()
    gc.disable()
    if (threads := thread_count()) != 1:
        logger.warning("runs start in fresh interpreters: the run server has %d threads", threads)
    RunServer(Path(arguments[0]), state, code).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
