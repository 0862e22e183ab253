"""Dagster run launcher: the run server forks each run's process.

A fresh interpreter spends seconds on imports before a run begins; a fork does not. If no run server
answers, or it must not fork, the run starts as Dagster's DefaultRunLauncher starts it.
"""

import logging
import os
import signal
import socket
import struct
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from dagster import DagsterRun, DefaultRunLauncher, Field, Float, StringSource, serialize_value

from resources.orchestration.dagster_internals import (
    CheckRunHealthResult,
    ConfigurableClassData,
    LaunchRunContext,
    UserConfigSchema,
    WorkerStatus,
)
from resources.orchestration.launch_protocol import GO, LaunchRequest
from resources.processes.line_protocol import read_line
from resources.processes.process_identity import RUN_PROCESS_TAG, RunProcess

if TYPE_CHECKING:
    from resources.orchestration.dagster_internals import BaseWorkspaceRequestContext

ANSWER_S = 30.0
_AGAIN_S = 0.1

logger = logging.getLogger(__name__)


class NoRunServer(Exception):
    """The run was not forked; the message says why."""


class WarmRunLauncher(DefaultRunLauncher):
    """The launcher named in dagster.yaml, for one machine with Linux.

    Args:
        socket: Unix socket of the run server.
        location_name: the code location whose runs it forks; other runs start as usual.
        answer_s: a run server that does not answer for this long is killed; `ytcaption up` starts
            another one.
    """

    def __init__(
        self,
        socket: str,
        location_name: str,
        answer_s: float = ANSWER_S,
        inst_data: ConfigurableClassData | None = None,
    ) -> None:
        super().__init__(inst_data)
        self._socket = socket
        self._location_name = location_name
        self._answer_s = answer_s

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Return the configuration that dagster.yaml may contain."""
        return {
            "socket": StringSource,
            "location_name": StringSource,
            "answer_s": Field(Float, is_required=False, default_value=ANSWER_S),
        }

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> Self:
        """Return the launcher that dagster.yaml describes."""
        return cls(inst_data=inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's process; it begins once its process id is in the run's tags."""
        run = context.dagster_run
        try:
            self._fork(run, self._request(run, context.workspace))
        except NoRunServer as reason:
            logger.warning("run %s starts in a fresh interpreter: %s", run.run_id, reason)
            if self._process(run.run_id) is not None:  # a process that ended before it began
                self._instance.add_run_tags(run.run_id, {RUN_PROCESS_TAG: ""})
            super().launch_run(context)
        else:
            self._run_ids.add(run.run_id)

    def terminate(self, run_id: str) -> bool:
        """Interrupt the run, which then ends by itself as canceled. Return whether it was there."""
        process = self._process(run_id)
        if process is None:
            return super().terminate(run_id)
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        if process.interrupt():
            return True
        self._instance.report_engine_event(
            f"Its process {process.pid} has ended.", dagster_run=run, cls=self.__class__
        )
        return False

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether Dagster's run monitoring may check started runs: yes."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return whether the run's process is alive. A process that was started in a fresh
        interpreter is watched by the code server alone until it has begun."""
        process = RunProcess.on_this_host(run.tags)
        if process is None or process.is_alive:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"Process {process.pid} has ended.")

    def _process(self, run_id: str) -> RunProcess | None:
        run = self._instance.get_run_by_id(run_id) if self.has_instance else None
        return RunProcess.of_run(run.tags) if run is not None else None

    def _request(
        self, run: DagsterRun, workspace: "BaseWorkspaceRequestContext | None"
    ) -> LaunchRequest:
        from resources.orchestration.dagster_internals import ExecuteRunArgs, GrpcServerCodeLocation

        job_origin, origin = run.remote_job_origin, run.job_code_origin
        is_ours = job_origin is not None and job_origin.location_name == self._location_name
        if workspace is None or origin is None or not is_ours:
            raise NoRunServer(f"it does not belong to the code location {self._location_name}")
        location = workspace.get_code_location(self._location_name)
        arguments = ExecuteRunArgs(
            job_origin=origin,
            run_id=run.run_id,
            instance_ref=self._instance.get_ref(),
            set_exit_code_on_failure=True,
        )
        return LaunchRequest(
            run_id=run.run_id,
            arguments=serialize_value(arguments),
            executable=origin.executable_path,
            code_server=location.server_id if isinstance(location, GrpcServerCodeLocation) else "",
        )

    def _fork(self, run: DagsterRun, request: LaunchRequest) -> None:
        """Request the run until it has a process; give up after the server has died twice."""
        give_up_at, deaths = time.monotonic() + self._answer_s, 0
        while True:
            try:
                if self._send(run, request, give_up_at):
                    return
            except TimeoutError as error:
                raise NoRunServer("the run server did not answer and was killed") from error
            except (OSError, ValueError) as error:
                deaths += 1
                if deaths == 2:
                    raise NoRunServer("no run server answers") from error
            if time.monotonic() > give_up_at:
                raise NoRunServer("the run server does not restart")
            time.sleep(_AGAIN_S)

    def _send(self, run: DagsterRun, request: LaunchRequest, give_up_at: float) -> bool:
        """Request the run's process. Return whether it has begun; if not, send it again."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(max(0.1, give_up_at - time.monotonic()))
            connection.connect(self._socket)
            try:
                request.send(connection)
                answer = read_line(connection)
            except TimeoutError:
                _kill_listener(connection)
                raise
            if reason := answer.get("refused"):
                raise NoRunServer(reason)
            if "process" not in answer:
                return False
            self._instance.add_run_tags(run.run_id, {RUN_PROCESS_TAG: answer["process"]})
            connection.sendall(GO)
            return True


def _kill_listener(connection: socket.socket) -> None:
    """Kill the process that listens on the socket: it holds up every run."""
    credentials = connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
    )
    pid, user, _ = struct.unpack("3i", credentials)
    if user == os.getuid() and pid > 0:
        logger.warning("the run server, process %d, does not answer; it is killed", pid)
        os.kill(pid, signal.SIGKILL)
