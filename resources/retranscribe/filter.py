"""Filter expressions of retranscriptions, such as `model = 'base' and created_at < '2026-06-01'`.

sqlglot parses the expression. The columns and operators it may contain are listed here. SQL is
composed of our own parts, and values are bound.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, LiteralString

from psycopg import sql

from resources.retranscribe.columns import COLUMNS, IN_CHANNEL, IS_CHANGED, FilterColumn, Kind
from ytcaption.domain.errors import InvalidOption

MAX_LENGTH = 2_000
MAX_PARTS = 200
"""Maximum number of names, values and operators in one expression."""

_COMPARED: dict[str, LiteralString] = {
    "EQ": " = ",
    "NEQ": " <> ",
    "LT": " < ",
    "LTE": " <= ",
    "GT": " > ",
    "GTE": " >= ",
    "Like": " like ",
    "ILike": " ilike ",
}
_READ = ("this", "expression", "expressions", "low", "high", "negate")
"""Arguments of sqlglot's nodes that are understood."""

_MIRRORED = {"LT": "GT", "LTE": "GTE", "GT": "LT", "GTE": "LTE"}


@dataclass(frozen=True)
class VersionFilter:
    """A parsed expression.

    Attributes:
        condition: SQL over `t`, `m` and `a`, with named placeholders. Further parameter: `owner`.
        columns: names of the columns in it.
    """

    condition: sql.Composable
    values: dict[str, Any]
    columns: frozenset[str]

    def and_changed(self) -> "VersionFilter":
        """Return this filter, restricted to media that have changed at their source."""
        condition = sql.SQL("({} and {})").format(self.condition, sql.SQL(IS_CHANGED))
        return VersionFilter(condition, self.values, self.columns | {"changed"})


def version_filter(text: str) -> VersionFilter:
    """Return the filter of an expression.

    Raises:
        InvalidOption: it is invalid; the message says what is valid.
    """
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError

    if len(text) > MAX_LENGTH:
        raise InvalidOption(f"The expression is longer than {MAX_LENGTH:,} characters.")
    try:
        tree = parse_one(text, into=exp.Condition, dialect="postgres")
        if sum(1 for _ in tree.walk()) > MAX_PARTS:
            raise InvalidOption(f"The expression has more than {MAX_PARTS} parts. Split it.")
        reader = _Reader()
        condition = reader.condition(tree)
    except (SqlglotError, RecursionError) as error:
        raise InvalidOption(
            "The expression cannot be read. Write it such as: model = 'base' and created_at < "
            "'2026-06-01'."
        ) from error
    return VersionFilter(condition, reader.values, frozenset(reader.columns))


class _Reader:
    """Translates a tree of sqlglot to SQL; refuses every node it does not know."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.columns: set[str] = set()

    def condition(self, node: Any) -> sql.Composable:
        """Return the SQL of a condition."""
        condition = self._plain(node)
        return _not(condition) if node.args.get("negate") else condition

    def _plain(self, node: Any) -> sql.Composable:
        kind = type(node).__name__
        # An argument that a new version of sqlglot adds to a node is refused, never ignored.
        if any(value for name, value in node.args.items() if name not in _READ):
            kind = "unknown"
        if kind == "Paren":
            return self.condition(node.this)
        if kind in ("And", "Or"):
            word: LiteralString = " and " if kind == "And" else " or "
            parts = [self.condition(node.this), self.condition(node.expression)]
            return sql.SQL("({})").format(sql.SQL(word).join(parts))
        if kind == "Not":
            return _not(self.condition(node.this))
        if kind == "Column":
            return self._flag(node)
        if kind in _COMPARED:
            return self._compared(kind, node.this, node.expression)
        if kind == "In":
            return self._in(node)
        if kind == "Between":
            low = self._compared("GTE", node.this, node.args["low"])
            high = self._compared("LTE", node.this, node.args["high"])
            return sql.SQL("({} and {})").format(low, high)
        if kind == "Is" and type(node.expression).__name__ == "Null":
            name, column = self._column(node.this)
            _only(name, column, ("text", "number", "time"))
            return sql.SQL("{} is null").format(sql.SQL(column.source))
        raise InvalidOption(
            f"`{_shown(node)}` is not understood. Compare columns with values by =, <>, <, <=, >, "
            ">=, like, ilike, in, between and is null, joined by and, or and not."
        )

    def _compared(self, operator: str, left: Any, right: Any) -> sql.Composable:
        if type(left).__name__ != "Column":
            if operator in ("Like", "ILike"):
                raise InvalidOption(
                    f"`{_shown(left)}` is not a column. Write the column on the left."
                )
            left, right, operator = right, left, _MIRRORED.get(operator, operator)
        name, column = self._column(left)
        if column.kind == "channel":
            _only_operators(name, operator in ("EQ", "NEQ"))
            condition = self._channel([self._value(name, column, right)])
            return condition if operator == "EQ" else sql.SQL("not {}").format(condition)
        if column.kind == "flag":
            _only_operators(name, operator in ("EQ", "NEQ"))
        if operator in ("Like", "ILike"):
            _only(name, column, ("text",))
        value = self._value(name, column, right)
        if operator in ("Like", "ILike") and "\\" in value:
            raise InvalidOption(
                "A pattern must not contain a backslash: % is any text, _ any character."
            )
        return sql.SQL("{}{}{}").format(
            sql.SQL(column.source), sql.SQL(_COMPARED[operator]), self._bound(value)
        )

    def _in(self, node: Any) -> sql.Composable:
        name, column = self._column(node.this)
        _only(name, column, ("text", "number", "time", "channel"))
        values = [self._value(name, column, each) for each in node.expressions]
        if not values:
            raise InvalidOption(f"`{name} in ()` has no values.")
        if column.kind == "channel":
            return self._channel(values)
        return sql.SQL("{} = any({})").format(sql.SQL(column.source), self._bound(values))

    def _flag(self, node: Any) -> sql.Composable:
        name, column = self._column(node)
        if column.kind != "flag":
            raise InvalidOption(f"`{name}` alone is not a condition. Compare it with a value.")
        return sql.SQL(column.source)

    def _channel(self, values: list[Any]) -> sql.Composable:
        return sql.SQL(IN_CHANNEL).format(values=self._bound(values))

    def _column(self, node: Any) -> tuple[str, FilterColumn]:
        name = node.name.lower() if type(node).__name__ == "Column" else ""
        if name not in COLUMNS or len(node.parts) > 1:
            raise InvalidOption(
                f"`{_shown(node)}` is not a column. The columns are: {', '.join(COLUMNS)}. Write "
                "texts and times in single quotes."
            )
        self.columns.add(name)
        return name, COLUMNS[name]

    def _value(self, name: str, column: FilterColumn, node: Any) -> Any:
        kind = type(node).__name__
        if column.kind == "flag" and kind == "Boolean":
            return bool(node.this)
        sign = 1
        if kind == "Neg":
            node, kind, sign = node.this, type(node.this).__name__, -1
        wanted, read = _VALUES[column.kind]
        if kind == "Literal" and node.is_string == (column.kind != "number"):
            value = read(node.this)
            if value is not None and (sign > 0 or column.kind == "number"):
                return value * sign if sign < 0 else value
        raise InvalidOption(f"`{_shown(node)}` is not a value of {name}. Give {wanted}.")

    def _bound(self, value: Any) -> sql.Composable:
        name = f"where_{len(self.values)}"
        self.values[name] = value
        return sql.Placeholder(name)


def _not(condition: sql.Composable) -> sql.Composable:
    """Return the negation, which is true where the condition is false or null."""
    return sql.SQL("not coalesce({}, false)").format(condition)


def _text(text: str) -> str | None:
    return None if "\x00" in text else text


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


_VALUES: dict[Kind, tuple[str, Callable[[str], Any]]] = {
    "text": ("a text in single quotes", _text),
    "channel": ("a text in single quotes", _text),
    "number": ("a number", _number),
    "time": ("a date or time in UTC, such as '2026-06-01' or '2026-06-01T12:00:00Z'", _time),
    "flag": ("true or false", lambda _: None),
}


def _only(name: str, column: FilterColumn, kinds: tuple[Kind, ...]) -> None:
    if column.kind not in kinds:
        raise InvalidOption(f"`{name}` ({column.description}) cannot be used like that.")


def _only_operators(name: str, allowed: bool) -> None:
    if not allowed:
        raise InvalidOption(f"`{name}` is compared by = and <> only.")


def _shown(node: Any) -> str:
    """Return the node as SQL, at most 80 characters, for an error message."""
    try:
        return node.sql(dialect="postgres")[:80]
    except Exception:  # sqlglot's parser can make trees that its generator cannot write
        return type(node).__name__
