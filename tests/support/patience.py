"""Waiting in tests, and how much longer than on an idle machine it may last."""

import os
import time
from collections.abc import Callable


def patience() -> float:
    """Return a factor of at least 1 for bounds of time: how many processes want each core.

    A bound that is multiplied by it is strict on an idle machine and does not fail because other
    processes run.
    """
    return max(1.0, 2 * os.getloadavg()[0] / (os.cpu_count() or 1))


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until the condition holds.

    Raises:
        TimeoutError: it did not in time.
    """
    deadline = time.monotonic() + seconds * patience()
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)
