"""Where in a text stands what was looked for."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from psycopg import Connection
from psycopg.rows import DictRow

from ytcaption_assets.domain.search_query import SearchQuery

Mark = tuple[int, int]
"""First character and the one behind the last, counted in code points."""

# With the marks that sit on letters, which \w leaves out.
_LETTERS = r"(?:[^\W_]|[\u0300-\u036f\u0591-\u05c7\u0610-\u065f\u0900-\u0963\u0966-\u0dff])+"
_WORD = re.compile(f"{_LETTERS}(?:['’.]{_LETTERS})*")
_UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f]+"
)

_LEXEMES = """
select language, word, ytcaption.search_lexemes(nullif(language, ''), word) as lexemes
from unnest(%(languages)s::text[], %(words)s::text[]) as asked (language, word)
"""


class Marker:
    """Marks texts for one search. Words are compared as Postgres has stemmed them, so that what was
    found is what is marked."""

    def __init__(self, query: SearchQuery) -> None:
        self._runs = {run for term in query.wanted for run in _UNSPACED.findall(_plain(term.text))}
        self._words = {word for term in query.wanted for word in _words(term.text).values()}
        self._beginnings = {
            next(reversed(_words(term.text).values()), "")
            for term in query.wanted
            if term.is_prefix
        } - {""}

    def marks(
        self, connection: Connection[DictRow], texts: Sequence[tuple[str | None, str]]
    ) -> list[list[Mark]]:
        """In the order of the texts; of each in order, not overlapping.

        Args:
            texts: each with its language.
        """
        lexemes = self._lexemes(connection, texts)
        marks = []
        for language, text in texts:
            wanted = {
                lexeme for word in self._words for lexeme in lexemes.get((language, word), ())
            }
            found = [
                place
                for place, word in _words(text).items()
                if not wanted.isdisjoint(lexemes.get((language, word), ()))
                or any(_bare(word).startswith(_bare(each)) for each in self._beginnings)
            ]
            marks.append(_joined([*found, *self._places_of_runs(text)]))
        return marks

    def _lexemes(
        self, connection: Connection[DictRow], texts: Iterable[tuple[str | None, str]]
    ) -> Mapping[tuple[str | None, str], Sequence[str]]:
        asked = {(language, word) for language, text in texts for word in _words(text).values()}
        asked |= {(language, word) for language, _ in texts for word in self._words}
        rows = connection.execute(
            _LEXEMES,
            {
                "languages": [language or "" for language, _ in asked],
                "words": [word for _, word in asked],
            },
        )
        return {(row["language"] or None, row["word"]): row["lexemes"] for row in rows}

    def _places_of_runs(self, text: str) -> list[Mark]:
        lower = text.lower()
        if len(lower) != len(text):  # a character whose lower case is two
            lower = text
        return [
            (found.start(), found.end())
            for run in self._runs
            for found in re.finditer(re.escape(run), lower)
        ]


def _words(text: str) -> dict[Mark, str]:
    """Words between spaces by their places; of scripts without, none."""
    spaced = _UNSPACED.sub(lambda run: " " * len(run[0]), text)
    return {(found.start(), found.end()): found[0] for found in _WORD.finditer(spaced)}


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def _bare(text: str) -> str:
    """Without accents."""
    split = unicodedata.normalize("NFD", _plain(text))
    return "".join(char for char in split if not "\u0300" <= char <= "\u036f")


def _joined(marks: Iterable[Mark]) -> list[Mark]:
    joined: list[Mark] = []
    for start, end in sorted(marks):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
