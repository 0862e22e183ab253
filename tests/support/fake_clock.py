"""A wall clock that a test sets, for processes: libfaketime (package `faketime` of Debian)."""

import os
import time
from pathlib import Path

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
"""None where it is not installed."""

_SITE = Path(__file__).with_name("fake_clock_site")


class FakeClock:
    """The clock of some processes; the monotonic clock is left alone, as by a real step.

    Attributes:
        offset_s: how much it is ahead of the right time now.
        offsets_s: all that it has been ahead.
    """

    def __init__(self, file: Path) -> None:
        self.offset_s = 0.0
        self.offsets_s: set[float] = set()
        self._file = file
        self.set(0)

    @property
    def environment(self) -> dict[str, str]:
        """Variables for the processes that go by it."""
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            # Files are dated by the kernel, and by this library as they are.
            "NO_FAKE_STAT": "1",
            "PYTHONPATH": os.pathsep.join([str(_SITE), os.environ.get("PYTHONPATH", "")]),
        }

    def set(self, offset_s: float) -> None:
        """Let it be so much ahead of the right time, or behind it if negative."""
        temporary = self._file.with_suffix(".new")
        temporary.write_text(f"{offset_s:+.0f}\n")
        temporary.replace(self._file)
        self.offset_s = offset_s
        self.offsets_s.add(offset_s)

    def time(self) -> float:
        """Return what the processes take for the time."""
        return time.time() + self.offset_s
