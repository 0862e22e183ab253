"""What git remembers of this repository, where a checkout has its history."""

import io
import subprocess
import tarfile
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import TESTS

ROOT = TESTS.parent
FOLDERS = ("resources/postgres/migrations", "resources/migrations")
"""Where migrations are, and where they were."""


def git(*arguments: str) -> bytes:
    """Return what git prints."""
    return subprocess.run(
        ["git", "-C", str(ROOT), *arguments], check=True, capture_output=True
    ).stdout


@cache
def has_history() -> bool:
    """Return whether all commits are here, down to the first one."""
    try:
        return git("rev-parse", "--is-shallow-repository").strip() == b"false"
    except (OSError, subprocess.CalledProcessError):
        return False


def need_history() -> None:
    """Skip a test in a checkout without history."""
    if not has_history():
        pytest.skip("this checkout has no history")


def migration_files(commit: str) -> dict[str, str]:
    """Return the hash of git of each numbered migration of a commit, by name."""
    listed = git("ls-tree", "-r", commit, *(f"{folder}/" for folder in FOLDERS)).decode()
    found = {}
    for line in listed.splitlines():
        kind, path = line.split("\t")
        name = Path(path).name
        if Path(path).parent.as_posix() in FOLDERS and name[:4].isdigit():
            found[name] = kind.split()[2]
    return found


def landed_migrations(until: str = "HEAD") -> list[str]:
    """Return the commits of main at which numbered migrations changed, oldest first."""
    listed = git("rev-list", "--first-parent", "--reverse", until, "--", *FOLDERS).decode()
    landed: list[str] = []
    before: dict[str, str] = {}
    for commit in listed.split():
        if (files := migration_files(commit)) != before:
            landed.append(commit[:7])
        before = files
    return landed


def extract(commit: str, folder: Path) -> None:
    """Write the files of a commit into a new folder."""
    folder.mkdir()
    with tarfile.open(fileobj=io.BytesIO(git("archive", "--format=tar", commit))) as archive:
        archive.extractall(folder, filter="data")
