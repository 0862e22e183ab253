"""Print what share of its mutants the tests of each module notice: the end of `make mutants`.

`mutmut results` names the mutants that survive, and `mutmut show NAME` shows one.
"""

import re
import subprocess
import sys
from collections import Counter, defaultdict

FLOOR = 0.85
"""The share that each module keeps. Most of the rest changes nothing that could be noticed."""

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
    rows = [f"{'module':<45} {'mutants':>7} {'noticed':>7} {'survive':>7} {'share':>7}"]
    below = []
    for module, statuses in sorted(scores(listed).items()):
        checked = statuses.total() - statuses[_PENDING]
        noticed = sum(statuses[status] for status in _NOTICED)
        share = noticed / checked if checked else 1.0
        rows.append(f"{module:<45} {checked:>7} {noticed:>7} {checked - noticed:>7} {share:>7.1%}")
        if share < FLOOR:
            below.append(module)
    if below:
        rows.append(f"Below {FLOOR:.0%}: {', '.join(below)}. What survives: mutmut results.")
    sys.stdout.write("\n".join(rows) + "\n")
    return int(bool(below))


if __name__ == "__main__":
    sys.exit(main())
