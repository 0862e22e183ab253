"""`<home>/up.json`: what an `ytcaption up` runs, for `ytcaption status` and whoever else asks."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

STATE_NAME = "up.json"

# Linux tells a start relative to the boot, whose wall-clock time moves when the clock is corrected.
_CLOCK_SHIFT_S = 2.0


@dataclass(frozen=True)
class ProcessState:
    """One process.

    Attributes:
        name: `api`, `webserver`, `daemon`, `runs`, `code`, `worker-0` and on, or `up`.
        pid: process number.
        created_at: start in seconds since 1970, as the system tells it: with the number it names a
            process for good.
        restarts: how often it died and was started again.
    """

    name: str
    pid: int
    created_at: float
    restarts: int = 0

    @property
    def is_alive(self) -> bool:
        """Whether that very process still runs."""
        found = created_at(self.pid)
        return found is not None and abs(found - self.created_at) < _CLOCK_SHIFT_S


@dataclass(frozen=True)
class UpState:
    """An `up` and what it has started.

    Attributes:
        up: the `up` itself.
        processes: its children.
        api_host, api_port: where the API listens.
        webserver_port: of Dagster's web page on 127.0.0.1; None with --no-webserver.
    """

    up: ProcessState
    processes: tuple[ProcessState, ...]
    api_host: str
    api_port: int
    webserver_port: int | None


def created_at(pid: int) -> float | None:
    """When the process started, in seconds since 1970; None when there is none."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def write_state(home: Path, state: UpState) -> None:
    """Replaces the file at once, so that no reader sees half of it."""
    temporary = home / f".{STATE_NAME}.{os.getpid()}"
    temporary.write_text(json.dumps(asdict(state), indent=1), encoding="utf-8")
    temporary.replace(home / STATE_NAME)


def remove_state(home: Path) -> None:
    """Nothing runs."""
    (home / STATE_NAME).unlink(missing_ok=True)


def read_state(home: Path) -> UpState | None:
    """What runs on this home; None when no `up` does, a killed one's file notwithstanding."""
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
