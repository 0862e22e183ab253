"""Starts and stops the process of `run_process`."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

from resources.processes.native_threads import decoding_environment
from ytcaption.domain.errors import SetupError
from ytcaption.settings.secret_variables import only_secrets
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.dagster_home import dagster_environment
from ytcaption_assets.cli.up.program_list import RUN_SECRETS

STOP_S = 10
SEND_S = 5


class TranscriptionProcess:
    """A process that runs transcriptions, with a log under the home."""

    def __init__(self, ids: Sequence[str], settings: Settings) -> None:
        self._ids = ids
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    @property
    def log_path(self) -> Path:
        """File of Dagster's log of these runs."""
        return self._settings.home / "logs" / f"transcribe-{os.getpid()}.log"

    def __enter__(self) -> Self:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log = self.log_path.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ytcaption_assets.cli.transcribe.run_process", *self._ids],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=decoding_environment(
                only_secrets(dagster_environment(self._settings), RUN_SECRETS)
            ),
            start_new_session=True,  # Ctrl-C goes to the parent, which ends this process
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._process is not None and self._log is not None
        if kind is None and self._settings.operation.otlp_endpoint is not None:
            with suppress(subprocess.TimeoutExpired):  # it still sends its last spans
                self._process.wait(SEND_S)
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        if self._process.returncode == 0:
            self.log_path.unlink(missing_ok=True)
        self._log.close()

    def check(self) -> None:
        """Check that the process runs or has succeeded.

        Raises:
            SetupError: it ended before its work was done.
        """
        assert self._process is not None
        if self._process.poll() not in (None, 0):
            raise SetupError(
                f"The transcription process ended unexpectedly. Its log: {self.log_path}"
            )
