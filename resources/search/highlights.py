"""Where in a text stands what was looked for."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from psycopg import Connection
from psycopg.rows import DictRow

from ytcaption.domain.search_query import SearchQuery

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
select language, word, ytcaption.search_lexemes(nullif(language, ''), word) as lexemes,
    numnode(ytcaption.search_term(nullif(language, ''), word, false)) = 0 as is_stop_word
from unnest(%(languages)s::text[], %(words)s::text[]) as asked (language, word)
"""

_Lexemes = Mapping[str, tuple[frozenset[str], bool]]
"""Of each word in one language, and whether it is a stop word."""


class Marker:
    """Marks texts for one search. Words are compared as Postgres has stemmed them, so that what was
    found is what is marked."""

    def __init__(self, query: SearchQuery) -> None:
        self._runs = {run for term in query.wanted for run in _UNSPACED.findall(_plain(term.text))}
        self._terms = [(list(_words(term.text).values()), term.is_prefix) for term in query.wanted]

    def marks(
        self, connection: Connection[DictRow], texts: Sequence[tuple[str | None, str]]
    ) -> list[list[Mark]]:
        """In the order of the texts; of each in order, not overlapping.

        Args:
            texts: each with its language.
        """
        split = [(language, text, _words(text)) for language, text in texts]
        known = self._lexemes(connection, [(language, words) for language, _, words in split])
        return [
            _joined([*self._places_of_terms(words, known[language]), *self._places_of_runs(text)])
            for language, text, words in split
        ]

    def _lexemes(
        self,
        connection: Connection[DictRow],
        texts: Sequence[tuple[str | None, Mapping[Mark, str]]],
    ) -> Mapping[str | None, _Lexemes]:
        sought = {word for words, _ in self._terms for word in words}
        asked = {(language, word) for language, _ in texts for word in sought}
        asked |= {(language, word) for language, words in texts for word in words.values()}
        rows = connection.execute(
            _LEXEMES,
            {
                "languages": [language or "" for language, _ in asked],
                "words": [word for _, word in asked],
            },
        )
        known: dict[str | None, dict[str, tuple[frozenset[str], bool]]] = {
            language: {} for language, _ in texts
        }
        for row in rows:
            lexemes = frozenset(row["lexemes"])
            known[row["language"] or None][row["word"]] = (lexemes, row["is_stop_word"])
        return known

    def _places_of_terms(self, words: Mapping[Mark, str], known: _Lexemes) -> list[Mark]:
        places = list(words)
        found = []
        for term, is_prefix in self._terms:
            together = _together(term, is_prefix, list(words.values()), known)
            found += [(places[at][0], places[at + len(term) - 1][1]) for at in together]
            if len(term) > 1 and not together:  # it goes on in the segment beside it
                telling = [word for word in term if not known[word][1]]
                found += [
                    places[at]
                    for word in telling
                    for at in _together([word], False, list(words.values()), known)
                ]
        return found

    def _places_of_runs(self, text: str) -> list[Mark]:
        lower = text.lower()
        if len(lower) != len(text):  # a character whose lower case is two
            lower = text
        return [
            (found.start(), found.end())
            for run in self._runs
            for found in re.finditer(re.escape(run), lower)
        ]


def _together(
    term: Sequence[str], is_prefix: bool, words: Sequence[str], known: _Lexemes
) -> list[int]:
    """Where the words of a term stand one after the other; a stop word alone stands nowhere."""
    if not term or (len(term) == 1 and known[term[0]][1] and not is_prefix):
        return []

    def fits(place: int, at: int) -> bool:
        sought, word = term[place], words[at + place]
        if is_prefix and place == len(term) - 1 and _bare(word).startswith(_bare(sought)):
            return True
        return not known[sought][0].isdisjoint(known[word][0])

    return [
        at
        for at in range(len(words) - len(term) + 1)
        if all(fits(place, at) for place in range(len(term)))
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
