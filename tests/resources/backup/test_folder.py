"""A backup's folder is not trusted: names, links, sizes, hashes and the signature are checked."""

import hashlib
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resources.backup.folder import BackupFolder
from resources.backup.signature import signature
from ytcaption.domain.errors import InputError, SetupError, StorageError
from ytcaption.settings.settings import Settings, load_settings

pytestmark = pytest.mark.unit

KEY, OLD_KEY = "k" * 32, "o" * 32
DOCUMENT = "objects/transcripts/youtube-1.aaaa.json"
CONTENTS = {
    "database/ytcaption.dump": b"rows",
    "database/dagster.dump": b"more rows",
    DOCUMENT: b"{}",
    "objects/audio/youtube-1.webm": b"audio",
}


def settings_with(tmp_path: Path, **values: Any) -> Settings:
    return Settings(home=tmp_path / "home", _env_file=None, **values)  # pyright: ignore


def write_manifest(folder: Path, change: Callable[[dict[str, Any]], object] | None = None) -> bytes:
    files = {
        name: {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in CONTENTS.items()
    }
    raw: dict[str, Any] = {
        "made_at": "2026-11-30T00:00:00+00:00",
        "version": "0.1.0",
        "dagster_version": "1.13.27",
        "postgres_major": 18,
        "migration": 18,
        "files": files,
        "wrong": {},
        "format": 1,
    }
    if change is not None:
        change(raw)
    data = json.dumps(raw).encode()
    (folder / "manifest.json").write_bytes(data)
    return data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like a backup."""
    folder = tmp_path / "backup"
    for name, data in CONTENTS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    write_manifest(folder)
    return folder


def test_a_backup_is_opened_and_compared(folder: Path, tmp_path: Path):
    """Of an earlier version, too, whose manifest has no numbers of rows. Empty folders are fine."""
    (folder / "objects" / "lake" / "main").mkdir(parents=True)
    backup = BackupFolder.opened(folder, settings_with(tmp_path))
    read: list[int] = []
    backup.check(read.append)
    assert sum(read) == backup.manifest.size_bytes == sum(map(len, CONTENTS.values()))
    assert backup.manifest.rows == {} and not backup.is_signed


def link(path: Path) -> None:
    data = path.parent.parent / "elsewhere"
    path.rename(data)
    path.symlink_to(data)


def folder_link(path: Path) -> None:
    real = path.parents[2] / "elsewhere"
    path.parent.rename(real)
    path.parent.symlink_to(real)


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def socket_file(path: Path) -> None:
    path.unlink()
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(here)


def extra(name: str) -> Callable[[Path], None]:
    def add(path: Path) -> None:
        (path.parents[2] / name).parent.mkdir(parents=True, exist_ok=True)
        (path.parents[2] / name).write_text("")

    return add


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(link, id="link"),
        pytest.param(folder_link, id="link of a folder"),
        pytest.param(fifo, id="fifo"),
        pytest.param(socket_file, id="socket"),
        pytest.param(extra("objects/transcripts/other.json"), id="unnamed object"),
        pytest.param(extra("objects/reports/1.json"), id="other prefix"),
        pytest.param(extra("objects/audio/.hidden"), id="hidden"),
        pytest.param(extra("objects/audio/a\nb"), id="line break"),
        pytest.param(extra("database/evil.sql"), id="sql"),
        pytest.param(extra("more/file"), id="folder"),
        pytest.param(extra("notes.txt"), id="note"),
    ],
)
def test_a_folder_with_other_than_named_regular_files_is_refused(
    folder: Path, tmp_path: Path, damage: Callable[[Path], None]
):
    """Links, devices and everything that the manifest does not name; nothing hangs."""
    damage(folder / DOCUMENT)
    with pytest.raises(InputError, match="Nothing was restored"):
        BackupFolder.opened(folder, settings_with(tmp_path))


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "objects/../../outside",
        "objects/audio/../../../outside",
        "/etc/passwd",
        "objects//audio/x",
        "objects/audio/.x",
        "objects/audio/x\u0000",
        "objects/audio/x y",
        "objects/AUDIO/x",
        "objects/reports/x",
        "objects/",
        "objects",
        "database/other.dump",
        "database/../ytcaption.dump",
        "settings.env",
        "",
        "objects/audio/" + "x" * 600,
    ],
)
def test_a_manifest_that_names_other_files_is_refused(folder: Path, tmp_path: Path, name: str):
    """Names become paths and keys: only those that ytcaption gives are read."""
    write_manifest(folder, lambda raw: raw["files"].update({name: raw["files"][DOCUMENT]}))
    with pytest.raises(InputError, match="Nothing was restored"):
        BackupFolder.opened(folder, settings_with(tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.update(files=[]),
        lambda raw: raw.update(format=2),
        lambda raw: raw.update(migration="1; drop table"),
        lambda raw: raw.update(postgres_major="18"),
        lambda raw: raw.update(rows={"ytcaption.media": "1"}),
        lambda raw: raw.update(unknown=1),
        lambda raw: raw["files"][DOCUMENT].update(size_bytes=-1),
        lambda raw: raw["files"][DOCUMENT].update(sha256="0" * 63 + "\n"),
        lambda raw: raw["files"][DOCUMENT].update(sha256=None),
        lambda raw: raw["files"].pop("database/ytcaption.dump"),
    ],
)
def test_a_manifest_with_other_values_is_refused(
    folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object]
):
    """It is read as untrusted JSON."""
    write_manifest(folder, change)
    with pytest.raises(InputError):
        BackupFolder.opened(folder, settings_with(tmp_path))


@pytest.mark.parametrize("what", ["missing", "empty", "link", "nested", "list"])
def test_what_is_no_manifest_is_no_backup(folder: Path, tmp_path: Path, what: str):
    """One sentence, whatever is there instead."""
    manifest = folder / "manifest.json"
    contents = {"empty": b"", "nested": b"[" * 100_000, "list": b"[]"}
    if what == "link":
        link(manifest)
    elif what == "missing":
        manifest.unlink()
    else:
        manifest.write_bytes(contents[what])
    with pytest.raises(InputError, match="is not a backup of ytcaption"):
        BackupFolder.opened(folder, settings_with(tmp_path))


@pytest.mark.parametrize("damage", ["longer", "other", "missing", "link"])
def test_a_file_with_other_bytes_is_found(folder: Path, tmp_path: Path, damage: str):
    """Size and hash are those of the manifest, at the time the files are read."""
    backup = BackupFolder.opened(folder, settings_with(tmp_path))
    path = folder / DOCUMENT
    if damage == "longer":
        path.write_bytes(CONTENTS[DOCUMENT] + b"\n")
    elif damage == "other":
        path.write_bytes(b"[]")
    elif damage == "missing":
        path.unlink()
    else:  # after the names were checked
        link(path)
    with pytest.raises(StorageError, match="missing or damaged, such as objects/transcripts"):
        backup.check()


def test_a_signed_backup_is_restored_with_its_key_only(folder: Path, tmp_path: Path):
    """Any of several keys fits, so that one can be replaced; without a key nothing is compared."""
    manifest = (folder / "manifest.json").read_bytes()
    (folder / "manifest.hmac").write_bytes(signature(OLD_KEY, manifest))
    assert BackupFolder.opened(
        folder, settings_with(tmp_path, backup_key=f"{KEY} {OLD_KEY}")
    ).is_signed
    assert not BackupFolder.opened(folder, settings_with(tmp_path)).is_signed
    with pytest.raises(InputError, match="signed with another YTCAPTION_BACKUP_KEY"):
        BackupFolder.opened(folder, settings_with(tmp_path, backup_key=KEY))


@pytest.mark.parametrize("damage", ["changed", "missing", "empty", "link"])
def test_a_changed_backup_does_not_fit_its_signature(folder: Path, tmp_path: Path, damage: str):
    """A changed file needs a changed manifest, and the manifest a key."""
    path = folder / "manifest.hmac"
    path.write_bytes(signature(KEY, (folder / "manifest.json").read_bytes()))
    if damage == "changed":
        write_manifest(folder, lambda raw: raw["files"][DOCUMENT].update(size_bytes=3))
    elif damage == "missing":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"\n")
    else:
        link(path)
    with pytest.raises(InputError, match="YTCAPTION_BACKUP_KEY"):
        BackupFolder.opened(folder, settings_with(tmp_path, backup_key=KEY))


def test_a_short_key_is_refused_and_an_empty_one_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It must not be guessed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YTCAPTION_HOME", str(tmp_path))
    monkeypatch.setenv("YTCAPTION_BACKUP_KEY", f"{KEY} short")
    with pytest.raises(SetupError, match="YTCAPTION_BACKUP_KEY: write at least 32 characters"):
        load_settings()
    monkeypatch.setenv("YTCAPTION_BACKUP_KEY", " ")
    assert load_settings().operation.backup_key is None
