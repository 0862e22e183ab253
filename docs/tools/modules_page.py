"""The page of all modules, each with the first sentence of its docstring and its public names."""

import ast
from collections.abc import Iterator
from pathlib import Path

from docs.tools.markdown import item

ROOT = Path(__file__).parents[2]
PACKAGES = ("ytcaption", "resources", "sensors", "ytcaption_assets", "api")

_INTRODUCTION = """# Modules

Every module, in a sentence, with its classes, functions and constants: search this page for what
you want to change, if [the table of changes](../architecture.md#what-do-i-change-when-i-want-to)
does not have it.
"""


def modules_page() -> str:
    """Return the page: a list for each folder."""
    parts = [_INTRODUCTION]
    for folder in _folders():
        items = [_item(path) for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
        if items:
            parts.append("\n".join([f"## {folder.relative_to(ROOT)}/", "", *items, ""]))
    return "\n".join(parts)


def _folders() -> Iterator[Path]:
    for package in PACKAGES:
        yield ROOT / package
        for path in sorted((ROOT / package).rglob("*")):
            if path.is_dir() and path.name != "__pycache__":
                yield path


def _item(path: Path) -> str:
    module = ast.parse(path.read_text(encoding="utf-8"))
    paragraph = (ast.get_docstring(module) or "").split("\n\n")[0]
    names = ", ".join(f"`{name}`" for name in _public_names(module))
    return item(f"**`{path.name}`** {paragraph} {names}")


def _public_names(module: ast.Module) -> list[str]:
    names: dict[str, None] = {}
    for statement in module.body:
        match statement:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                names[name] = None
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names[name] = None
    return [name for name in names if name[0] != "_" and name != "logger" and len(name) > 1]
