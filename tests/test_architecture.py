"""Rules about the code's structure that import-linter and ruff cannot express."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGES = ("ytcaption", "resources", "sensors", "ytcaption_assets", "api", "benchmarks", "tests")

MOST_MODULES = 30
"""Modules in one folder."""

DAGSTER_INTERNALS = {
    "resources/orchestration/dagster_internals.py",
    # Names that only the tests need: they launch runs as Dagster's run queue does.
    "tests/support/code_location.py",
}
"""Files that may import private modules of Dagster."""


def private_dagster_imports(source: str) -> Iterator[str]:
    """Yield each import of a `dagster._*` or `dagster_*._*` module in a file's text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # `from dagster import _core` imports a module, too.
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            modules = [node.value]  # import_module("dagster._core"), monkeypatch.setattr(...)
        else:
            continue
        for module in modules:
            root, *rest = module.split(".")
            is_dagster = root == "dagster" or root.startswith("dagster_")
            if is_dagster and any(is_private(part) for part in rest):
                yield f"{node.lineno}: {module}"


def is_private(name: str) -> bool:
    """Return whether a module's name says that it is private; `__version__` is not."""
    return name.startswith("_") and not name.startswith("__")


def files() -> Iterator[Path]:
    """Yield every Python file of ours."""
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


@pytest.mark.long
def test_dagsters_private_modules_are_imported_in_one_file():
    """All other files take the names from resources/orchestration/dagster_internals.py."""
    found = [
        f"{path.relative_to(ROOT)}:{private}"
        for path in files()
        if path != Path(__file__) and path.relative_to(ROOT).as_posix() not in DAGSTER_INTERNALS
        for private in private_dagster_imports(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import dagster._core.events",
        "import dagster._utils as utils",
        "from dagster._serdes import serialize_value",
        "from dagster import _core",
        "def f():\n    from dagster._grpc.types import ExecuteRunArgs",
        "import_module('dagster._core.events')",
        "from dagster_postgres._private import X",
    ],
)
def test_each_way_to_import_a_private_module_is_seen(source):
    """The rule above is seen to fail."""
    assert list(private_dagster_imports(source))


@pytest.mark.parametrize(
    "source",
    [
        "import dagster as dg",
        "from dagster import serialize_value",
        "from dagster_postgres.utils import create_pg_engine",
        "from dagster import __version__",
        "'dagster is a tool. _core is a name'",
    ],
)
def test_public_imports_are_accepted(source):
    """The rule above refuses nothing that is public."""
    assert not list(private_dagster_imports(source))


@pytest.mark.unit
def test_no_folder_has_too_many_modules() -> None:
    """A folder with more is several subjects: divide it."""
    for package in ("ytcaption", "resources", "sensors", "ytcaption_assets", "api"):
        for folder in [ROOT / package, *(ROOT / package).rglob("*/")]:
            number = len(list(folder.glob("*.py")))
            assert number <= MOST_MODULES, folder


@pytest.mark.parametrize("folder", ["support", "support/servers"])
def test_the_helpers_of_tests_are_listed(folder: str) -> None:
    """The docstring of each package names all its modules."""
    package = ROOT / "tests" / folder
    names = {path.stem for path in package.glob("*.py")} - {"__init__"}
    text = (package / "__init__.py").read_text(encoding="utf-8")
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []
