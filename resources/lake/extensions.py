"""DuckDB's extensions, loaded from the wheels that carry its signed binaries."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ytcaption.domain.errors import SetupError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def load_extensions(connection: "DuckDBPyConnection", *names: str) -> None:
    """Load each extension from its wheel `duckdb-extension-<name>`, or else from DuckDB's server.

    Raises:
        SetupError: the wheel is missing and DuckDB's server cannot be reached.
    """
    import duckdb

    for name in names:
        path = wheel_extension(name, duckdb.__version__)
        try:
            if path is not None:
                connection.load_extension(str(path))
            else:
                connection.install_extension(name)
                connection.load_extension(name)
        except duckdb.Error as error:
            raise SetupError(
                f"DuckDB's extension {name} cannot be loaded. Install it: pip install "
                f"duckdb-extension-{name.replace('_', '-')}=={duckdb.__version__}"
            ) from error


def wheel_extension(name: str, version: str) -> Path | None:
    """Return the extension's file, if an installed wheel has it for this version of DuckDB."""
    spec = find_spec(f"duckdb_extension_{name}")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "extensions" / f"v{version}" / f"{name}.duckdb_extension"
        if path.is_file():
            return path
    return None
