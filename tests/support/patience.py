"""How much longer than on an idle machine a test may wait."""

import os


def patience() -> float:
    """Return a factor of at least 1 for bounds of time: how many processes want each core.

    A bound that is multiplied by it is strict on an idle machine and does not fail because other
    processes run.
    """
    return max(1.0, 2 * os.getloadavg()[0] / (os.cpu_count() or 1))
