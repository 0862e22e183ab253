"""One view of the lake: its SQL, from `sql/`, with what it takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

from ytcaption.domain.errors import InvalidOption

_FOLDER = Path(__file__).parent / "sql"
_LONGEST_VALUE = 500

Kind = Literal["text", "date", "integer", "number"]


@dataclass(frozen=True)
class Parameter:
    """What a view takes.

    Attributes:
        default: where it is left out.
        is_required: it cannot be.
    """

    name: str
    kind: Kind
    description: str
    default: str | int | float | None = None
    is_required: bool = False
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True)
class ViewColumn:
    """What a view gives.

    Attributes:
        type: DuckDB's name.
        unit: of a number, such as `h`.
    """

    name: str
    type: str
    description: str
    unit: str | None = None


@dataclass(frozen=True)
class LakeView:
    """One question with its answer's shape."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    columns: tuple[ViewColumn, ...]

    @property
    def sql(self) -> str:
        """One SELECT that takes its parameters as `$name`."""
        sql = sql_of(self.name)
        if "chosen" not in sql:
            return sql
        # `chosen` takes parameters too, and those cannot stand in a view of DuckDB's.
        chosen = f"with chosen as (\n{sql_of('chosen')})"
        return (
            f"{chosen}, {sql.removeprefix('with ')}"
            if sql.startswith("with ")
            else (f"{chosen}\n{sql}")
        )

    def values(self, given: Mapping[str, str], rows: int) -> dict[str, Any]:
        """Every parameter's value, of JSON's types, as the query takes it.

        Args:
            rows: of the answer, at most. A view that would keep more takes it as `$rows`, with one
                row that tells that there are more.

        Raises:
            InvalidOption: one is not known, missing, or not what it must be.
        """
        known = {parameter.name for parameter in self.parameters}
        for name in given:
            if name not in known:
                offered = ", ".join(sorted(known)) or "none"
                raise InvalidOption(
                    f"The view {self.name} has no parameter {name[:60]!r}. It has: {offered}."
                )
        values = {
            parameter.name: _value(parameter, given.get(parameter.name))
            for parameter in self.parameters
        }
        return values | ({"rows": rows + 1} if "$rows" in self.sql else {})


@cache
def sql_of(name: str) -> str:
    """The text of a file of `sql/`."""
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def _value(parameter: Parameter, text: str | None) -> str | int | float | None:
    if text is None or not text.strip():
        if parameter.is_required:
            raise InvalidOption(f"Give the parameter {parameter.name}: {parameter.description}")
        return parameter.default
    if len(text) > _LONGEST_VALUE or "\x00" in text:
        raise InvalidOption(f"{parameter.name} is no text of at most {_LONGEST_VALUE} characters.")
    if parameter.kind == "text":
        return text.strip()
    try:
        if parameter.kind == "date":
            return date.fromisoformat(text.strip()).isoformat()
        number = int(text) if parameter.kind == "integer" else float(text)
    except ValueError as error:
        like = {"date": "a day, such as 2026-11-24", "integer": "a whole number"}
        raise InvalidOption(
            f"{parameter.name} must be {like.get(parameter.kind, 'a number')}."
        ) from error
    least, most = parameter.least, parameter.most
    if not (least or 0) <= number <= (most if most is not None else 1e12):
        bounds = f"{least or 0} to {most}" if most is not None else f"at least {least or 0}"
        raise InvalidOption(f"{parameter.name} must be {bounds}.")
    return number
