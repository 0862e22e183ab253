"""The tests of the security and reliability rules, as tests/security/README.md lists them.

python -m tests.support.trust   prints them as pytest takes them
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT, TESTS

_MAP = TESTS / "security" / "README.md"


def rules() -> Iterator[tuple[list[int], list[tuple[Path, str]]]]:
    """Yield the numbers of rules, and the file and name of each test; "" for all of a file."""
    for row in re.finditer(r"^\| (\d[\d, -]*) \|(.+)$", _MAP.read_text(), re.MULTILINE):
        numbers: list[int] = []
        for part in row[1].split(","):
            first, _, last = part.strip().partition("-")
            numbers += range(int(first), int(last or first) + 1)
        tests = re.findall(r"`([\w./]+\.py)(?:::(\w+))?`", row[2])
        yield numbers, [((_MAP.parent / file).resolve(), test) for file, test in tests]


def main() -> None:
    """Print each test once; a file is enough for all in it."""
    tests = {each for _, tests in rules() for each in tests}
    whole = {file for file, test in tests if not test}
    for file, test in sorted(tests):
        if not test or file not in whole:
            path = file.relative_to(ROOT)
            sys.stdout.write(f"{path}::{test}\n" if test else f"{path}\n")


if __name__ == "__main__":
    main()
