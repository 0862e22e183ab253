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
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dagster._cli.api import execute_run_command
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import deserialize_value, serialize_value
from dagster._utils.hosted_user_process import recon_job_from_origin

from resources.orchestration.launch_protocol import GO, NOT_BEGUN, LaunchRequest
from resources.processes.fork_server import RESUME, ForkServer, code_fingerprint, thread_count
from resources.processes.line_protocol import send_line
from resources.processes.process_identity import RunProcess
from ytcaption_assets.run_server.preload import hold_code

GO_S = 60.0

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


class RunServer(ForkServer):
    """Serves until SIGTERM, and then until its runs have ended."""

    def __init__(self, path: Path, kept: Kept, code: object) -> None:
        super().__init__(path, kept.listener)
        self._kept = kept
        self._code = code

    def is_busy(self) -> bool:
        """Whether a run has not ended."""
        return bool(self._kept.runs)

    def handle(self, connection: socket.socket) -> None:
        """A run, or why there is none."""
        with connection:
            self._serve(connection, LaunchRequest.read(connection))

    def on_exit(self, pid: int, exit_code: int) -> None:
        """A run that ended badly is failed with the reason."""
        run_id = self._kept.runs.pop(pid, None)
        if run_id is None or exit_code in (0, NOT_BEGUN) or self.is_stopping:
            return
        if thread_count() == 1:  # else Dagster's run monitoring finds it
            self._settle(run_id, pid, exit_code)

    def _serve(self, connection: socket.socket, request: LaunchRequest) -> None:
        if not request.run_id:
            send_line(connection, {"runs": len(self._kept.runs)})
        elif self._is_stale(request):
            send_line(connection, {"again": True})
            self.restart_interpreter(self._resumed)
        elif why := self._prepared(request):
            send_line(connection, {"refused": why})
        else:
            pid = self.fork(lambda: _be_the_run(connection, request))
            self._kept.runs[pid] = request.run_id

    def _is_stale(self, request: LaunchRequest) -> bool:
        known = self._kept.code_servers
        is_new = bool(request.code_server) and request.code_server not in known
        if is_new:
            known.append(request.code_server)
        return (is_new and len(known) > 1) or code_fingerprint() != self._code

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

    def _resumed(self, listener: int) -> str:
        self._kept.listener = listener
        return json.dumps(asdict(self._kept))

    def _settle(self, run_id: str, pid: int, exit_code: int) -> None:
        from ytcaption_assets.run_server.settle import settle_dead_run

        def settle() -> int:
            settle_dead_run(self._kept.instance_ref, run_id, pid, exit_code)
            return 0

        self.fork(settle)


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
    code = code_fingerprint()  # before anything is imported: what changes meanwhile is seen
    kept = Kept.from_json(arguments[2]) if RESUME in arguments else Kept()
    hold_code()
    gc.disable()
    if (threads := thread_count()) != 1:
        logger.warning("runs start in fresh interpreters: the run server has %d threads", threads)
    RunServer(Path(arguments[0]), kept, code).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
