"""All settings: as a table on the terminal with their values, as Markdown for the documentation."""

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ytcaption.settings import Settings

MARKDOWN_HEAD = """# Settings

Environment variables, or lines of a `.env` file in the folder where `ytcaption` starts. Written by
`ytcaption settings --markdown`.

| variable | default | what it is |
| --- | --- | --- |
"""


def print_settings(settings: Settings, console: Console) -> None:
    """Variable, value in force and meaning; secrets are hidden."""
    table = Table("variable", "value", "what it is", show_lines=False)
    for name, field in Settings.model_fields.items():
        text = escape(_text(getattr(settings, name)))
        shown = f"[bold]{text}[/bold]" if name in settings.model_fields_set else text
        table.add_row(_variable(name), shown, field.description or "")
    console.print(table)


def settings_markdown() -> str:
    """The table of `docs/settings.md`: the same on every machine."""
    rows = [
        f"| `{_variable(name)}` | {_default(field)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return MARKDOWN_HEAD + "\n".join(rows) + "\n"


def _variable(name: str) -> str:
    return f"YTCAPTION_{name.upper()}"


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "the platform's user data folder"
    text = _text(field.default)
    return f"`{text}`" if text else "unset"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return "(hidden)"
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return str(value)
