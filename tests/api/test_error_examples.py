"""The errors that the OpenAPI document shows are worded as the code words them."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from api.http.errors import HTTP_CODES
from docs.tools.api_pages import openapi
from tests.support.paths import ROOT
from ytcaption.domain.errors import YtcaptionError

PACKAGES = ("ytcaption", "resources", "api")
SHORTEST = 12
"""Letters that a message of the code must have beside its values, to be compared."""

ANY = ".+?"


@cache
def examples() -> tuple[tuple[str, str], ...]:
    """Return code and detail of each problem in the document's examples."""
    return tuple(sorted(set(_problems(openapi()))))


def _problems(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if isinstance(value.get("detail"), str) and isinstance(value.get("code"), str):
            yield value["code"], value["detail"]
        for each in value.values():
            yield from _problems(each)
    elif isinstance(value, list):
        for each in value:
            yield from _problems(each)


@cache
def messages() -> re.Pattern[str]:
    """Return an expression that matches every text that the code can produce, except examples."""
    found = _Texts()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            found.visit(ast.parse(path.read_text(encoding="utf-8")))
    return re.compile("|".join(f"(?:{each})" for each in sorted(found.expressions)))


class _Texts(ast.NodeVisitor):
    """Collects string expressions as regular expressions, with any text for inserted values."""

    def __init__(self) -> None:
        self.expressions: set[str] = set()

    def visit_Tuple(self, node: ast.Tuple) -> None:
        """Skip the arguments of `problem_response`: code, detail, summary."""
        first = node.elts[0] if len(node.elts) == 3 else None
        if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
            self.generic_visit(node)

    def generic_visit(self, node: ast.AST) -> None:
        text = _expression(node)
        if text is None:
            super().generic_visit(node)
        elif len(text.replace(ANY, "")) >= SHORTEST:
            self.expressions.add(text)


def _expression(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return re.escape(text)
        case ast.JoinedStr(values=values):
            return "".join(_expression(value) or ANY for value in values)
    return None


def test_there_are_examples() -> None:
    """There are examples of many codes, and all these codes exist."""
    codes = {code for code, _ in examples()}
    assert len(codes) > 40
    known = {kind.code for kind in YtcaptionError.kinds()} | set(HTTP_CODES.values())
    assert codes <= known | {"range_not_satisfiable", "cross_origin_refused"}


@pytest.mark.parametrize(("code", "detail"), examples())
def test_an_example_has_the_wording_of_the_code(code: str, detail: str) -> None:
    """A message that is changed in the code must be changed in the examples, too."""
    assert messages().fullmatch(detail), f"No message of the code is like this one of {code}."
