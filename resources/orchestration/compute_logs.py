"""Logs of runs in files: Dagster's LocalComputeLogManager with a thread instead of processes.

To copy a run's output to the terminal, too, Dagster's own starts two `tail` processes and two
Python interpreters per run. A thread of the run does the same at no cost.
"""

import os
import sys
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

from resources.orchestration.dagster_internals import (
    IO_TYPE_EXTENSION,
    CapturedLogContext,
    ComputeIOType,
    ConfigurableClassData,
    LocalComputeLogManager,
    ensure_file,
    redirect_to_file,
    touch_file,
)

SHOWN_EVERY_S = 0.5
"""Interval in which output is copied to the terminal."""

_LAST_S = 5.0
"""Maximum seconds a run waits at its end for a terminal that blocks."""


class RunLogs(LocalComputeLogManager):
    """The log manager named in dagster.yaml; same configuration as LocalComputeLogManager."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """Return the manager that dagster.yaml describes."""
        return cls(inst_data=inst_data, **config_value)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Generator[CapturedLogContext, None, None]:
        """Redirect both streams into files, and copy the files to where the streams went before."""
        out, err = (
            self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[kind])
            for kind in (ComputeIOType.STDOUT, ComputeIOType.STDERR)
        )
        with _kept(sys.stdout, out), _kept(sys.stderr, err):
            yield CapturedLogContext(log_key)
        touch_file(self.complete_artifact_path(log_key))


@contextmanager
def _kept(stream: IO[str], path: str) -> Iterator[None]:
    ensure_file(path)
    ended = threading.Event()
    with os.fdopen(os.dup(stream.fileno()), "wb") as before, Path(path).open("rb") as written:
        written.seek(0, os.SEEK_END)
        shows = threading.Thread(
            target=_show, args=(written, before, ended), name="run log", daemon=True
        )
        with redirect_to_file(stream, path):
            shows.start()
            try:
                yield
            finally:
                stream.flush()
                ended.set()
                shows.join(_LAST_S)


def _show(written: IO[bytes], before: IO[bytes], ended: threading.Event) -> None:
    last = False
    while not last:
        last = ended.wait(SHOWN_EVERY_S)
        while part := written.read(65536):
            before.write(part)
        before.flush()
