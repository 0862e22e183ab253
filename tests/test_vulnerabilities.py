"""The comparison of pinned packages with a database of known vulnerabilities."""

import json
import subprocess
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.vulnerabilities import (
    ACCEPTED,
    Database,
    NoDatabase,
    accepted,
    affects,
    age,
    main,
    pinned,
    report,
)

pytestmark = pytest.mark.unit


def entry(id: str, name: str, *events: dict[str, str], **more: Any) -> dict[str, Any]:
    """Return an entry in OSV's format."""
    affected = {
        "package": {"ecosystem": "PyPI", "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": list(events)}],
        "versions": more.pop("versions", []),
    }
    return {"id": id, "modified": "2026-11-01T00:00:00Z", "affected": [affected]} | more


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A zip file as osv.dev publishes it."""
    path = tmp_path / "osv.zip"
    entries = [
        entry("GHSA-1", "Py_JWT", {"introduced": "0"}, {"fixed": "2.1.0"}, aliases=["CVE-1"]),
        entry("PYSEC-1", "pyjwt", {"introduced": "0"}, {"fixed": "2.1"}, aliases=["CVE-1"]),
        entry("GHSA-2", "other", {"introduced": "0"}),
        entry("GHSA-3", "py-jwt", {"introduced": "0"}, withdrawn="2026-01-01T00:00:00Z"),
        entry("GHSA-4", "httpx", {"introduced": "1.0"}, modified="2026-11-20T00:00:00Z"),
    ]
    with zipfile.ZipFile(path, "w") as archive:
        for each in entries:
            archive.writestr(f"{each['id']}.json", json.dumps(each))
    return path


@pytest.mark.parametrize(
    ("version", "is_affected"),
    [("0.9", False), ("1.0", True), ("1.9.9", True), ("2.0", False), ("2.5", True), ("3.0", True),
     ("3.0.1", False), ("4.0rc1", True)],
)  # fmt: skip
def test_ranges_and_lists(version: str, is_affected: bool):
    """Introduced, fixed, introduced again, last affected; or named in the list."""
    affected = entry(
        "X",
        "a",
        {"fixed": "2.0"},
        {"introduced": "1.0"},
        {"introduced": "2.5"},
        {"last_affected": "3.0"},
        {"introduced": "no version"},
        versions=["4.0rc1"],
    )["affected"][0]
    assert affects(affected, version) is is_affected


def test_what_is_known_is_reported_once(database: Path, capsys: pytest.CaptureFixture[str]):
    """By any of its names; one that is withdrawn, of another package or version is not."""
    pins = {"py-jwt": "2.0.0", "httpx": "0.28.1"}
    found = Database.read(database, pins)
    assert [(one.id, one.package, one.fixed_in) for one in found.known(pins)] == [
        ("GHSA-1", "py-jwt", ("2.1.0",))
    ]
    assert report(found, pins, {}) == 1
    assert report(found, pins, {"CVE-1": "not called"}) == 0
    assert report(found, pins | {"py-jwt": "2.1.0"}, {}) == 0
    said = capsys.readouterr().out
    assert "py-jwt 2.0.0: GHSA-1, CVE-1: fixed in 2.1.0." in said
    assert "accepted: not called" in said
    assert "The database knows nothing after 2026-11-20" in said


def test_a_clone_of_pypas_database_is_read(tmp_path: Path):
    """YAML in a folder per package; its age is that of the last commit."""
    folder = tmp_path / "vulns" / "httpx"
    folder.mkdir(parents=True)
    one = entry("PYSEC-9", "httpx", {"introduced": "0"}, {"fixed": "1.0"})
    (folder / "PYSEC-9.yaml").write_text(json.dumps(one))
    git = ("git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org")
    for arguments in (("init", "-q"), ("add", "."), ("commit", "-qm", "one")):
        subprocess.run([*git, *arguments], check=True)
    database = Database.read(tmp_path, ["httpx"])
    assert [one.id for one in database.known({"httpx": "0.28.1"})] == ["PYSEC-9"]
    assert (datetime.now(UTC) - database.newest).total_seconds() < 600


def test_an_old_database_is_called_old():
    """A result that knows nothing of the last weeks is said to."""
    newest = datetime(2026, 11, 1, tzinfo=UTC)
    assert "15 days old. That is OLD" in age(newest, datetime(2026, 11, 16, tzinfo=UTC))
    assert "OLD" not in age(newest, datetime(2026, 11, 15, tzinfo=UTC))


def test_without_a_database_it_fails_and_says_how_to_get_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Never "nothing found"."""
    with pytest.raises(NoDatabase):
        Database.read(tmp_path / "none", [])
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    for path in (tmp_path / "none", tmp_path, tmp_path / "bad.zip"):
        assert main(["--database", str(path)]) == 2
        assert "curl --create-dirs -o" in capsys.readouterr().err


def test_every_constraint_is_one_version_and_exceptions_have_an_end(tmp_path: Path):
    """The files of this repository can be read; an exception that has ended counts no more."""
    assert len(pinned()) > 100
    accepted(ACCEPTED)
    file = tmp_path / "accepted.toml"
    file.write_text('[[accepted]]\nid = "CVE-1"\nreason = "why"\nuntil = 2026-12-31\n')
    assert accepted(file, date(2026, 12, 30)) == {"CVE-1": "why"}
    assert accepted(file, date(2026, 12, 31)) == {}
