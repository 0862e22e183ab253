"""The file of settings: which one is in force, and what it holds.

It is `.env` in the home, or the file that YTCAPTION_SETTINGS_FILE or the option `--settings-file`
names; never one that happens to be in the current folder, which may be somebody else's.
"""

import io
import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs
from dotenv import dotenv_values

from ytcaption.domain.errors import SetupError
from ytcaption.settings.small_file import read_small_text

NAME = ".env"
VARIABLE = "YTCAPTION_SETTINGS_FILE"
"""The variable that names another file."""

_HOME = "YTCAPTION_HOME"


def default_home() -> Path:
    """Return the home where no setting names one."""
    return Path(platformdirs.user_data_dir("ytcaption"))


def settings_file() -> Path | None:
    """Return the absolute path of the file in force; None if there is none.

    Raises:
        SetupError: the named file does not exist.
    """
    named = os.environ.get(VARIABLE, "").strip()
    if named:
        path = Path(named).expanduser().absolute()
        if not path.exists():
            raise SetupError(f"There is no file {path}, which {VARIABLE} names.")
        return path
    path = _home() / NAME
    return path if path.exists() else None


def file_variables(path: Path) -> dict[str, str | None]:
    """Return the variables of a file of settings, names in lower case.

    Raises:
        SetupError: it cannot be read, or as the home's file names another home.
    """
    try:
        text = read_small_text(path)
    except OSError as error:
        raise SetupError(
            f"The settings in {path} cannot be read: {error.strerror}. Replace it with a text file "
            f"of lines VARIABLE=value, or name another with {VARIABLE}."
        ) from None
    variables = {name.lower(): value for name, value in _values(text).items()}
    home = (variables.get(_HOME.lower()) or "").strip()
    is_named = bool(os.environ.get(VARIABLE, "").strip())
    if home and not is_named and Path(home).expanduser().absolute() != _home():
        raise SetupError(
            f"{path} sets {_HOME} to {home}, but is read because it is in the home. Set {_HOME} in "
            f"the environment, or move the file and name it with {VARIABLE}."
        )
    return variables


def file_in_force() -> str:
    """Return one line that says which file of settings is in force, and which is not.

    Raises:
        SetupError: as `settings_file`.
    """
    path = settings_file()
    line = f"settings: the environment, and {path}"
    if path is None:
        line = f"settings: the environment; there is no {_home() / NAME}"
    unread = unread_file()
    return line if unread is None else f"{line}. {unread}"


def unread_file() -> str | None:
    """Return a sentence about a `.env` of the current folder that is not read; None if there is
    none with settings of ytcaption."""
    try:
        path = Path(NAME).absolute()
        if not path.is_file() or any(path.samefile(used) for used in _used()):
            return None
        if "YTCAPTION_" not in read_small_text(path):
            return None
    except (OSError, SetupError):
        return None
    return (
        f"{path} is not read, since the current folder may be anybody's: move it to "
        f"{_home() / NAME}, or name it with --settings-file or {VARIABLE}"
    )


def _used() -> list[Path]:
    path = settings_file()
    return [] if path is None else [path]


def _home() -> Path:
    home = os.environ.get(_HOME, "").strip()
    return Path(home).expanduser().absolute() if home else default_home()


def _values(text: str) -> Mapping[str, str | None]:
    return dotenv_values(stream=io.StringIO(text), interpolate=True)
