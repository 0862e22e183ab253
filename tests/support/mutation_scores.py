"""Print what share of its mutants the tests of each module notice: the end of `make mutants`.

mutmut's own list names surviving mutants one by one. `mutmut show NAME` shows one.
"""

import re
import subprocess
import sys
from collections import Counter, defaultdict

FLOOR = 0.85
"""The share that each module keeps: of the rest, most change nothing that could be noticed."""

_RESULT = re.compile(r"\s+(?P<module>[\w.]+)\.[^\s.]+: (?P<status>.+)")
_NOTICED = ("killed", "timeout", "caught by type check", "segfault")
_PENDING = "not checked"


def scores(results: str) -> dict[str, Counter[str]]:
    """Return how many mutants of each module have each status, from `mutmut results --all True`."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for line in results.splitlines():
        if match := _RESULT.fullmatch(line):
            found[match["module"]][match["status"]] += 1
    return dict(found)


def main() -> int:
    """Print a table and return 1 where a module is below the floor."""
    command = [sys.executable, "-m", "mutmut", "results", "--all", "True"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    below = 0
    print(f"{'module':<45} {'mutants':>7} {'noticed':>7} {'survive':>7} {'share':>7}")
    for module, statuses in sorted(scores(listed).items()):
        checked = statuses.total() - statuses[_PENDING]
        noticed = sum(statuses[status] for status in _NOTICED)
        share = noticed / checked if checked else 1.0
        below += share < FLOOR
        print(f"{module:<45} {checked:>7} {noticed:>7} {checked - noticed:>7} {share:>7.1%}")
    if below:
        print(f"{below} modules are below {FLOOR:.0%}: .venv/bin/mutmut results lists what survives.")
    return int(bool(below))


if __name__ == "__main__":
    sys.exit(main())
