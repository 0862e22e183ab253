"""Positions of matches in a text."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from psycopg import Connection
from psycopg.rows import DictRow

from ytcaption.domain.search_query import SearchQuery

Mark = tuple[int, int]
"""The first character and the one after the last, counted in code points."""

# Including combining marks, which \w leaves out.
_LETTERS = r"(?:[^\W_]|[\u0300-\u036f\u0591-\u05c7\u0610-\u065f\u0900-\u0963\u0966-\u0dff])+"
_WORD = re.compile(f"{_LETTERS}(?:['’.]{_LETTERS})*")
_UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3130-\u318f"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f]+"
)

_LEXEMES = """
select language, word, ytcaption.search_lexemes(nullif(language, ''), word) as lexemes,
    numnode(ytcaption.search_term(nullif(language, ''), word, false)) = 0 as is_stop_word
from unnest(%(languages)s::text[], %(words)s::text[]) as pairs (language, word)
"""

_Lexemes = Mapping[str, tuple[frozenset[str], bool]]
"""Each word's lexemes in one language, and whether it is a stop word."""


class Marker:
    """Marks texts for one search, comparing words by Postgres' stemming, as the search does."""

    def __init__(self, query: SearchQuery) -> None:
        self._runs = {run for term in query.wanted for run in _UNSPACED.findall(_plain(term.text))}
        self._terms = [(list(_words(term.text).values()), term.is_prefix) for term in query.wanted]

    def marks(
        self, connection: Connection[DictRow], texts: Sequence[tuple[str | None, str]]
    ) -> list[list[Mark]]:
        """Return the marks of each text, in order and not overlapping.

        Args:
            texts: each with its language.
        """
        split = [(language, text, _words(text)) for language, text in texts]
        known = self._lexemes(connection, [(language, words) for language, _, words in split])
        return [
            _joined([*self._term_marks(words, known[language]), *self._run_marks(text)])
            for language, text, words in split
        ]

    def _lexemes(
        self,
        connection: Connection[DictRow],
        texts: Sequence[tuple[str | None, Mapping[Mark, str]]],
    ) -> Mapping[str | None, _Lexemes]:
        term_words = {word for words, _ in self._terms for word in words}
        pairs = {(language, word) for language, _ in texts for word in term_words}
        pairs |= {(language, word) for language, words in texts for word in words.values()}
        rows = connection.execute(
            _LEXEMES,
            {
                "languages": [language or "" for language, _ in pairs],
                "words": [word for _, word in pairs],
            },
        )
        known: dict[str | None, dict[str, tuple[frozenset[str], bool]]] = {
            language: {} for language, _ in texts
        }
        for row in rows:
            lexemes = frozenset(row["lexemes"])
            known[row["language"] or None][row["word"]] = (lexemes, row["is_stop_word"])
        return known

    def _term_marks(self, words: Mapping[Mark, str], known: _Lexemes) -> list[Mark]:
        positions = list(words)
        marks = []
        for term, is_prefix in self._terms:
            starts = _starts_of_term(term, is_prefix, list(words.values()), known)
            marks += [(positions[at][0], positions[at + len(term) - 1][1]) for at in starts]
            if len(term) > 1 and not starts:  # it continues in the next segment
                content_words = [word for word in term if not known[word][1]]
                marks += [
                    positions[at]
                    for word in content_words
                    for at in _starts_of_term([word], False, list(words.values()), known)
                ]
        return marks

    def _run_marks(self, text: str) -> list[Mark]:
        lower = text.lower()
        if len(lower) != len(text):  # a character whose lower case has two
            lower = text
        return [
            (match.start(), match.end())
            for run in self._runs
            for match in re.finditer(re.escape(run), lower)
        ]


def _starts_of_term(
    term: Sequence[str], is_prefix: bool, words: Sequence[str], known: _Lexemes
) -> list[int]:
    """Return where the words of a term follow each other; a single stop word matches nowhere."""
    if not term or (len(term) == 1 and known[term[0]][1] and not is_prefix):
        return []

    def fits(offset: int, at: int) -> bool:
        expected, word = term[offset], words[at + offset]
        if is_prefix and offset == len(term) - 1 and _bare(word).startswith(_bare(expected)):
            return True
        return not known[expected][0].isdisjoint(known[word][0])

    return [
        at
        for at in range(len(words) - len(term) + 1)
        if all(fits(offset, at) for offset in range(len(term)))
    ]


def _words(text: str) -> dict[Mark, str]:
    """Return words between spaces by position; none of scripts without spaces."""
    spaced = _UNSPACED.sub(lambda run: " " * len(run[0]), text)
    return {(match.start(), match.end()): match[0] for match in _WORD.finditer(spaced)}


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def _bare(text: str) -> str:
    """Return the text without accents."""
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
