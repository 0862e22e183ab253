"""Databases as older commits made them: `tests/data/upgrades/make_archives.py`."""

import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.paths import DATA

UPGRADES = DATA / "upgrades"


@cache
def _members(archive: str) -> dict[str, bytes]:
    found = {}
    with tarfile.open(UPGRADES / archive) as opened:
        for member in opened:
            file = opened.extractfile(member)
            assert file is not None
            found[member.name] = file.read()
    return found


def old_commits(archive: str = "landed.tar.xz") -> list[str]:
    """Return the commits of an archive, oldest first."""
    with tarfile.open(UPGRADES / archive) as opened:
        return list(dict.fromkeys(name.partition("/")[0] for name in opened.getnames()))


def old_database(commit: str, archive: str = "landed.tar.xz") -> str:
    """Return the schema `ytcaption` with its rows, as statements."""
    return _members(archive)[f"{commit}/database.sql"].decode()


def old_objects(commit: str, archive: str = "landed.tar.xz") -> Iterator[tuple[str, bytes]]:
    """Yield key and content of each object that the rows name."""
    prefix = f"{commit}/objects/"
    for name, content in _members(archive).items():
        if name.startswith(prefix):
            yield name.removeprefix(prefix), content


def unpack_backup(commit: str, folder: Path) -> Path:
    """Return the folder of a backup that the commit's code made."""
    with tarfile.open(UPGRADES / f"backup-{commit}.tar.xz") as opened:
        opened.extractall(folder, filter="data")
    return folder / commit / "backup"
