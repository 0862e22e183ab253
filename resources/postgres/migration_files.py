"""The files of `migrations/`: numbered ones, rights, and what brings earlier texts forward.

A numbered file never changes once it is on main. `hashes.txt` lists the SHA-256 of each, so that
the tests notice a changed file also in a checkout without history.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise

GRANTS = 0
"""The number of `grants.sql` in the ledger."""

_CONTRACTS = re.compile(r"^-- contracts: (\d{4})\b", re.MULTILINE)


@dataclass(frozen=True)
class Migration:
    """One file of SQL."""

    number: int
    name: str
    statements: str

    @property
    def sha256(self) -> str:
        """Return the hex SHA-256 of its text."""
        return hashlib.sha256(self.statements.encode()).hexdigest()

    @property
    def contracts(self) -> int | None:
        """Return the number of the migration that programs must know to work after this one.

        A migration that takes away or narrows what older programs use has the line
        `-- contracts: NUMBER`. None: programs that do not know this migration go on working.
        """
        match = _CONTRACTS.search(self.statements)
        return int(match[1]) if match else None


def migrations() -> list[Migration]:
    """Return all numbered files, in order.

    Raises:
        ValueError: two files have one number.
    """
    numbered = _numbered(_folder())
    for one, other in pairwise(numbered):
        if one.number == other.number:
            raise ValueError(f"{one.name} and {other.name} have the same number.")
    return numbered


def bridges() -> dict[int, Migration]:
    """Return what brings earlier texts of migrations to the present ones, by their number."""
    return {
        bridge.number: replace(bridge, name=f"earlier/{bridge.name}")
        for bridge in _numbered(_folder().joinpath("earlier"))
    }


def grants() -> Migration:
    """Return the file of rights, which is applied again whenever it has changed."""
    file = _folder().joinpath("grants.sql")
    return Migration(GRANTS, file.name, file.read_text(encoding="utf-8"))


def _folder() -> Traversable:
    return files("resources.postgres").joinpath("migrations")


def _numbered(folder: Traversable) -> list[Migration]:
    found = []
    for file in folder.iterdir():
        number, _, _ = file.name.partition("_")
        if number.isdigit() and file.name.endswith(".sql"):
            found.append(Migration(int(number), file.name, file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: (migration.number, migration.name))
