"""Which file of settings is read, and which never."""

import os
from pathlib import Path

import pytest

from tests.support.patience import patience
from ytcaption.domain.errors import SetupError
from ytcaption.settings.settings import load_settings
from ytcaption.settings.settings_file import VARIABLE, file_in_force, unread_file

pytestmark = [pytest.mark.unit, pytest.mark.timeout(20 * patience())]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home; the current folder is another one."""
    for name in list(os.environ):
        if name.startswith("YTCAPTION_"):
            monkeypatch.delenv(name)
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    monkeypatch.setenv("YTCAPTION_HOME", str(home))
    monkeypatch.chdir(folder)
    return home


def beam_size() -> int:
    """Return a setting whose default is 5."""
    return load_settings().speech.beam_size


def test_a_file_of_the_current_folder_is_not_read(home: Path):
    """It may be anybody's. One line says so, and what to do."""
    Path(".env").write_text("YTCAPTION_BEAM_SIZE=9\nYTCAPTION_SITES=any\n")
    assert beam_size() == 5
    assert load_settings().download.sites != ("any",)
    said = f"{Path.cwd()}/.env is not read, since the current folder may be anybody's: move it to"
    assert said in file_in_force()
    assert f"settings: the environment; there is no {home}/.env." in file_in_force()
    Path(".env").write_text("OTHER_PROGRAM=1\n")
    assert unread_file() is None


def test_the_home_has_a_file(home: Path):
    """It is read again when it has changed; the environment comes before it."""
    for number in (3, 4):
        (home / ".env").write_text(f"YTCAPTION_BEAM_SIZE={number}\n")
        assert beam_size() == number
    assert file_in_force() == f"settings: the environment, and {home}/.env"
    os.environ["YTCAPTION_BEAM_SIZE"] = "7"
    try:
        assert beam_size() == 7
    finally:
        del os.environ["YTCAPTION_BEAM_SIZE"]


def test_a_named_file_is_read_instead(home: Path, monkeypatch: pytest.MonkeyPatch):
    """By a path from the current folder, too; it may name the home."""
    (home / ".env").write_text("YTCAPTION_BEAM_SIZE=3\n")
    Path("mine").write_text(f"YTCAPTION_BEAM_SIZE=8\nYTCAPTION_HOME={home}/other\n")
    monkeypatch.setenv(VARIABLE, "mine")
    monkeypatch.delenv("YTCAPTION_HOME")
    assert beam_size() == 8
    assert load_settings().home == home / "other"
    assert file_in_force() == f"settings: the environment, and {Path.cwd()}/mine"
    monkeypatch.setenv(VARIABLE, "missing")
    with pytest.raises(SetupError, match=r"There is no file .*/missing, which YTCAPTION_SETTINGS"):
        load_settings()


def test_the_homes_file_names_no_other_home(home: Path):
    """The settings would be of one home and the data of another."""
    (home / ".env").write_text("YTCAPTION_HOME=/elsewhere\n")
    with pytest.raises(SetupError, match="sets YTCAPTION_HOME to /elsewhere, but is read because"):
        load_settings()
    (home / ".env").write_text(f"YTCAPTION_HOME={home}\nYTCAPTION_BEAM_SIZE=2\n")
    assert beam_size() == 2


def test_what_is_no_small_text_file_is_refused(home: Path, tmp_path: Path):
    """A pipe without a writer, a device, a folder, a huge file, other bytes: at once, in one
    sentence."""
    file = home / ".env"
    huge = tmp_path / "huge"
    with huge.open("wb") as sparse:
        sparse.truncate(1 << 40)
    for make, why in (
        (lambda: os.mkfifo(file), "it is no regular file"),
        (lambda: file.symlink_to("/dev/zero"), "it is no regular file"),
        (lambda: file.symlink_to(huge), "it is larger than 1 MiB"),
        (lambda: file.write_bytes(b"A=\xff"), "it is not UTF-8 text"),
    ):
        make()
        with pytest.raises(SetupError) as error:
            load_settings()
        assert f"The settings in {file} cannot be read: {why}. Replace it" in error.value.message
        file.unlink()
    file.mkdir()
    with pytest.raises(SetupError, match="cannot be read: Is a directory"):
        load_settings()


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_variable_is_an_unset_one(home: Path, monkeypatch: pytest.MonkeyPatch, empty: str):
    """In the environment and in the file: the default is in force, and the file's value where only
    the environment's is empty."""
    for name in ("BEAM_SIZE", "DATABASE_URL", "HOME", "SETTINGS_FILE", "JWT_ISSUER", "SITES"):
        monkeypatch.setenv(f"YTCAPTION_{name}", empty)
    settings = load_settings()
    assert settings.speech.beam_size == 5
    assert settings.storage.database_url is None and settings.api.jwt_issuer is None
    assert settings.download.sites and settings.home.name == "ytcaption"
    monkeypatch.setenv("YTCAPTION_HOME", str(home))
    (home / ".env").write_text("YTCAPTION_BEAM_SIZE=6\nYTCAPTION_API_PORT=\n")
    assert beam_size() == 6
    assert load_settings().api.api_port == 8000
