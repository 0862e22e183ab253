"""Known vulnerabilities of the pinned packages, by a database on this machine: `make audit`.

The database has OSV's format (https://ossf.github.io/osv-schema): the zip file of all PyPI entries
that osv.dev publishes, or a clone of github.com/pypa/advisory-database. pip-audit, which knows the
same entries, asks a server for each package and cannot be given a file.

Exit status: 0 nothing known, 1 a vulnerability that is not accepted, 2 no usable database.
"""

import argparse
import json
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from tests.support.paths import ROOT

CONSTRAINTS = ROOT / "constraints.txt"
ACCEPTED = ROOT / ".ci" / "accepted-vulnerabilities.toml"
DEFAULT_DATABASE = Path("~/.cache/ytcaption/osv-pypi.zip")
DOWNLOAD = "https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip"
FRESH_DAYS = 14
"""Age of a database beyond which the result is called old."""

EXIT_VULNERABLE, EXIT_NO_DATABASE = 1, 2


class NoDatabase(Exception):
    """There is no database; the message says how to get one."""


@dataclass(frozen=True)
class Known:
    """A vulnerability of a pinned package.

    Attributes:
        fixed_in: first versions without it; empty: none is known.
    """

    id: str
    aliases: tuple[str, ...]
    package: str
    version: str
    fixed_in: tuple[str, ...]
    summary: str

    @property
    def ids(self) -> set[str]:
        """Return all its names."""
        return {self.id, *self.aliases}


@dataclass(frozen=True)
class Database:
    """Entries of OSV's format about Python packages.

    Attributes:
        newest: when the newest entry was changed: nothing later is known to it.
    """

    entries: tuple[Mapping[str, Any], ...]
    newest: datetime

    @classmethod
    def read(cls, path: Path, packages: Iterable[str]) -> "Database":
        """Return the entries about these packages.

        Raises:
            NoDatabase: there is none, or it is empty.
        """
        wanted = set(packages)
        if path.is_dir():
            entries = tuple(_of_clone(path, wanted))
            newest = _last_commit(path)
        elif path.is_file():
            everything = list(_of_zip(path))
            newest = max((_changed(entry) for entry in everything), default=None)
            entries = tuple(entry for entry in everything if wanted & _packages(entry))
        else:
            raise NoDatabase(f"There is no database at {path}.")
        if newest is None:
            raise NoDatabase(f"{path} holds no entries about Python packages.")
        return cls(entries, newest)

    def known(self, pins: Mapping[str, str]) -> list[Known]:
        """Return what is known of pinned versions, each once, by package."""
        found: list[Known] = []
        for entry in sorted(self.entries, key=lambda entry: str(entry["id"])):
            if entry.get("withdrawn"):
                continue
            for affected in entry.get("affected", ()):
                name = _package(affected)
                if name not in pins or not affects(affected, pins[name]):
                    continue
                one = Known(
                    str(entry["id"]),
                    tuple(map(str, entry.get("aliases", ()))),
                    name,
                    pins[name],
                    tuple(_fixes(affected, pins[name])),
                    " ".join(str(entry.get("summary") or entry.get("details", "")).split())[:160],
                )
                if not any(one.package == other.package and one.ids & other.ids for other in found):
                    found.append(one)
        return sorted(found, key=lambda one: (one.package, one.id))


def pinned(constraints: Path = CONSTRAINTS) -> dict[str, str]:
    """Return the versions of a file of constraints, by package."""
    pins = {}
    for line in constraints.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        requirement = Requirement(text)
        [version] = [each.version for each in requirement.specifier if each.operator == "=="]
        pins[canonicalize_name(requirement.name)] = version
    return pins


def affects(affected: Mapping[str, Any], version: str) -> bool:
    """Return whether an entry's `affected` includes the version: by its list or its ranges."""
    if version in map(str, affected.get("versions", ())):
        return True
    return any(
        _is_within(each.get("events", ()), Version(version))
        for each in affected.get("ranges", ())
        if each.get("type") == "ECOSYSTEM"
    )


def _is_within(events: Iterable[Mapping[str, Any]], version: Version) -> bool:
    """Return whether the last event at or before the version makes it vulnerable."""
    inside = False
    placed = [(at, event) for event in events if (at := _place(event)) is not None]
    for at, event in sorted(placed, key=lambda pair: pair[0]):
        kind = next(iter(event))
        if kind == "introduced" and version >= at:
            inside = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            inside = False
    return inside


def _place(event: Mapping[str, Any]) -> Version | None:
    """Return the version of an event; None for one that is no version of Python's packages."""
    try:
        return Version(str(next(iter(event.values()))))
    except InvalidVersion:
        return None


def _fixes(affected: Mapping[str, Any], version: str) -> Iterator[str]:
    for each in affected.get("ranges", ()):
        for event in each.get("events", ()) if each.get("type") == "ECOSYSTEM" else ():
            at = _place(event)
            if "fixed" in event and at is not None and at > Version(version):
                yield str(event["fixed"])


def accepted(path: Path = ACCEPTED, today: date | None = None) -> dict[str, str]:
    """Return the reasons of vulnerabilities that are accepted for now, by id."""
    if not path.exists():
        return {}
    today = today or datetime.now(UTC).date()
    listed = tomllib.loads(path.read_text(encoding="utf-8")).get("accepted", [])
    return {each["id"]: each["reason"] for each in listed if each["until"] > today}


def age(newest: datetime, now: datetime | None = None) -> str:
    """Return a sentence about how old a database is."""
    days = ((now or datetime.now(UTC)) - newest).days
    sentence = f"The database knows nothing after {newest:%Y-%m-%d}: it is {days:,} days old."
    if days > FRESH_DAYS:
        sentence += f" That is OLD: fetch a newer one before you rely on this. {_how()}"
    return sentence


def report(database: Database, pins: Mapping[str, str], reasons: Mapping[str, str]) -> int:
    """Print what is known and return the exit status."""
    number = 0
    for one in database.known(pins):
        reason = next((reasons[id] for id in sorted(one.ids) if id in reasons), None)
        number += reason is None
        fixed = f"fixed in {', '.join(one.fixed_in)}" if one.fixed_in else "not fixed"
        names = ", ".join([one.id, *one.aliases])
        _print(f"{one.package} {one.version}: {names}: {fixed}. {one.summary}")
        if reason is not None:
            _print(f"    accepted: {reason}")
    _print(f"{len(pins):,} packages compared; {number} vulnerabilities that are not accepted.")
    _print(age(database.newest))
    return EXIT_VULNERABLE if number else 0


def _of_zip(path: Path) -> Iterator[Mapping[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield json.loads(archive.read(name))


def _of_clone(path: Path, wanted: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    for package in wanted:
        for file in sorted((path / "vulns" / package).glob("*.yaml")):
            yield yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)


def _last_commit(path: Path) -> datetime | None:
    done = subprocess.run(
        ["git", "-C", str(path), "log", "-1", "--format=%cI"],
        capture_output=True,
        text=True,
        check=False,
    )
    return datetime.fromisoformat(done.stdout.strip()) if done.stdout.strip() else None


def _changed(entry: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(str(entry["modified"]))


def _packages(entry: Mapping[str, Any]) -> set[str]:
    return {_package(affected) for affected in entry.get("affected", ())}


def _package(affected: Mapping[str, Any]) -> str:
    package = affected.get("package", {})
    return canonicalize_name(package["name"]) if package.get("ecosystem") == "PyPI" else ""


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _how() -> str:
    return (
        f"Where there is a network: curl --create-dirs -o {DEFAULT_DATABASE} {DOWNLOAD}; or name "
        "another file, or a clone of github.com/pypa/advisory-database, by make audit OSV=PATH."
    )


def main(arguments: list[str]) -> int:
    """Compare the constraints with the database that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", type=Path, default=DEFAULT_DATABASE)
    path = parser.parse_args(arguments).database.expanduser()
    pins = pinned()
    try:
        database = Database.read(path, pins)
    except NoDatabase as error:
        sys.stderr.write(f"{error} {_how()}\n")
        return EXIT_NO_DATABASE
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        sys.stderr.write(f"{path} cannot be read as a database: {error}. {_how()}\n")
        return EXIT_NO_DATABASE
    return report(database, pins, accepted())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
