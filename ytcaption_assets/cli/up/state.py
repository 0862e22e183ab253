"""`<home>/up.json`: the processes of a running `ytcaption up`, for `ytcaption status`."""

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from resources.processes.process_identity import RunProcess
from ytcaption.settings.settings import Settings

if TYPE_CHECKING:
    from ytcaption_assets.cli.up.process_output import ProcessOutput
    from ytcaption_assets.cli.up.supervisor import Child

STATE_NAME = "up.json"

_ROUNDING_S = 0.5
_EPOCH_S = 1e9  # older files have the start in seconds since 1970, which steps of the clock shift


@dataclass(frozen=True)
class ProcessState:
    """One process.

    Attributes:
        name: `api`, `webserver`, `daemon`, `runs`, `code`, `worker-0` and so on, or `up`.
        created_at: start as `created_at` returns it; unique together with the pid.
        restarts: how often it died and was restarted.
    """

    name: str
    pid: int
    created_at: float
    restarts: int = 0

    @property
    def is_alive(self) -> bool:
        """Whether this process, and not another one with the same pid, is still running."""
        current = created_at(self.pid)
        if current is not None and current < _EPOCH_S < self.created_at:  # written before an update
            current = psutil.Process(self.pid).create_time()
        return current is not None and abs(current - self.created_at) < _ROUNDING_S

    @property
    def uptime_s(self) -> float:
        """Seconds since its start."""
        if sys.platform == "linux" and self.created_at < _EPOCH_S:
            return time.clock_gettime(time.CLOCK_BOOTTIME) - self.created_at
        return time.time() - self.created_at


@dataclass(frozen=True)
class UpState:
    """An `up` and its child processes.

    Attributes:
        up: the `up` process itself.
        processes: its children.
        api_host, api_port: address of the API.
        webserver_port: port of Dagster's web page on 127.0.0.1; None with --no-webserver.
    """

    up: ProcessState
    processes: tuple[ProcessState, ...]
    api_host: str
    api_port: int
    webserver_port: int | None


def created_at(pid: int) -> float | None:
    """Return when the process started, in seconds, or None if there is none.

    On Linux since the boot, so that it does not change when the clock is set; elsewhere since 1970.
    """
    if sys.platform == "linux":
        process = RunProcess.of(pid)
        return None if process is None else process.start_ticks / os.sysconf("SC_CLK_TCK")
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def write_state(home: Path, state: UpState) -> None:
    """Replace the file atomically, so that no reader sees a part of it."""
    temporary = home / f".{STATE_NAME}.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(state), indent=1), encoding="utf-8")
    temporary.replace(home / STATE_NAME)


def remove_state(home: Path) -> None:
    """Remove the file: nothing runs any more."""
    (home / STATE_NAME).unlink(missing_ok=True)


def read_state(home: Path) -> UpState | None:
    """Return the state of the `up` on this home, or None if none runs, whatever the file says."""
    try:
        saved = json.loads((home / STATE_NAME).read_text(encoding="utf-8"))
        state = UpState(
            up=ProcessState(**saved.pop("up")),
            processes=tuple(ProcessState(**each) for each in saved.pop("processes")),
            **saved,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if state.up.is_alive else None


class StateFile:
    """Keeps `up.json` current; an error, such as a full disk, is logged and retried."""

    def __init__(self, output: "ProcessOutput", settings: Settings, *, webserver: bool) -> None:
        self._output, self._settings, self._webserver = output, settings, webserver
        self._children: Sequence[Child] = ()
        self._is_due = False

    def save(self, children: "Sequence[Child]") -> None:
        """Write the state of the current processes."""
        self._children, self._is_due = children, True
        self.retry()

    def retry(self) -> None:
        """Write the state if it could not be written before."""
        if not self._is_due:
            return
        try:
            write_state(self._settings.home, self._state())
        except OSError as error:
            self._output.write(
                "up", f"{STATE_NAME} cannot be written; trying again: {error.strerror}"
            )
        else:
            self._is_due = False

    def _state(self) -> UpState:
        processes = tuple(
            ProcessState(
                name=child.program.name,
                pid=child.process.pid,
                created_at=created_at(child.process.pid) or 0.0,
                restarts=child.restarts,
            )
            for child in self._children
            if child.process is not None
        )
        settings = self._settings
        return UpState(
            up=ProcessState("up", os.getpid(), created_at(os.getpid()) or 0.0),
            processes=processes,
            api_host=settings.api.api_host,
            api_port=settings.api.api_port,
            webserver_port=settings.operation.webserver_port if self._webserver else None,
        )
