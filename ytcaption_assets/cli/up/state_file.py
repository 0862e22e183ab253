"""Keeps `<home>/up.json` as the processes are."""

import os
from collections.abc import Sequence

from ytcaption.settings import Settings
from ytcaption_assets.cli.up.process_output import ProcessOutput
from ytcaption_assets.cli.up.state import STATE_NAME, ProcessState, UpState, created_at, write_state
from ytcaption_assets.cli.up.supervisor import Child


class StateFile:
    """`up.json`, as well as it can be written: a full disk is no reason to end everything."""

    def __init__(self, output: ProcessOutput, settings: Settings, *, webserver: bool) -> None:
        self._output, self._settings, self._webserver = output, settings, webserver
        self._children: Sequence[Child] = ()
        self._is_due = False

    def save(self, children: Sequence[Child]) -> None:
        """What runs now."""
        self._children, self._is_due = children, True
        self.try_again()

    def try_again(self) -> None:
        """Writes what could not be written when it was new."""
        if not self._is_due:
            return
        try:
            write_state(self._settings.home, self._state())
        except OSError as error:
            self._output.write(
                "up", f"{STATE_NAME} cannot be written, and is tried again: {error.strerror}"
            )
        else:
            self._is_due = False

    def _state(self) -> UpState:
        processes = tuple(
            ProcessState(
                name=child.program.name,
                pid=child.process.pid,
                created_at=created_at(child.process.pid) or child.started_at,
                restarts=child.restarts,
            )
            for child in self._children
            if child.process is not None
        )
        settings = self._settings
        return UpState(
            up=ProcessState("up", os.getpid(), created_at(os.getpid()) or 0.0),
            processes=processes,
            api_host=settings.api_host,
            api_port=settings.api_port,
            webserver_port=settings.webserver_port if self._webserver else None,
        )
