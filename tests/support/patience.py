"""Waiting in tests, and how much longer than on an idle machine it may last."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def patience() -> float:
    """Return a factor of at least 1 for bounds of time: how many processes want each core.

    A bound that is multiplied by it is strict on an idle machine and does not fail because other
    processes run.
    """
    return max(1.0, 2 * os.getloadavg()[0] / (os.cpu_count() or 1))


def wait_for(
    condition: Callable[[], T], seconds: float = 30.0, shown: Callable[[], object] = str
) -> T:
    """Wait until the condition holds. Return its value, the first that is true.

    Args:
        seconds: on an idle machine.
        shown: what is there instead, for the message of the error.

    Raises:
        TimeoutError: it did not in time.
    """
    deadline = time.monotonic() + seconds * patience()
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(shown())
        time.sleep(0.05)
    return value
