"""What people type to find something -> a tree of terms.

    ask not            both words, somewhere near each other
    "ask not"          next to each other
    captions OR subs   either; binds tighter than the space
    captions -youtube  without
    transcri*          words that begin so

All else that people type is text: no string is a syntax error, but some ask for nothing.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from ytcaption.domain.errors import InvalidSearch

LONGEST_SEARCH = 500
"""Characters."""

MOST_TERMS = 20
SHORTEST_PREFIX = 3
"""Letters before a `*`: fewer begin a great part of all words."""

_TOKEN = re.compile(
    r'(?P<minus>-?)(?:"(?P<phrase>[^"]*)(?P<closed>"?)(?P<star>\*?)|(?P<word>[^\s"]+))'
)
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»「」『』＂", '"'))
_OR = frozenset({"OR", "|"})


@dataclass(frozen=True)
class Term:
    """One word, or several next to each other.

    Attributes:
        is_prefix: its last word may go on.
    """

    text: str
    is_prefix: bool = False
    is_excluded: bool = False


@dataclass(frozen=True)
class SearchQuery:
    """What is looked for: every group has one of its terms, and nothing that is excluded is there.

    Attributes:
        groups: each not empty, of terms that are alternatives; at least one group.
        excluded: terms of which none may be there.
        notes: what was understood otherwise than it may have been meant, for a person.
    """

    groups: tuple[tuple[Term, ...], ...]
    excluded: tuple[Term, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[Term, ...]:
        """All terms that are looked for."""
        return tuple(term for group in self.groups for term in group)

    def any_of_them(self) -> "SearchQuery":
        """The same where one of all its terms is enough, which is told."""
        note = "No place has all of these words; these have one or some of them."
        return SearchQuery((self.wanted,), self.excluded, (*self.notes, note))


def parse_search(text: str) -> SearchQuery:
    """The tree of what somebody typed.

    Raises:
        InvalidSearch: it is empty, too long, of too many terms, or says only what is not wanted.
    """
    if len(text) > LONGEST_SEARCH:
        raise InvalidSearch(
            f"A search has {LONGEST_SEARCH} characters at most. Look for fewer words."
        )
    notes: list[str] = []
    groups: list[list[Term]] = []
    excluded: list[Term] = []
    is_alternative = False
    for term in _terms(text, notes):
        if term is None:
            is_alternative = bool(groups)
        elif term.is_excluded:
            excluded.append(term)
            is_alternative = False
        elif is_alternative:
            groups[-1].append(term)
            is_alternative = False
        else:
            groups.append([term])
    if len(excluded) + sum(map(len, groups)) > MOST_TERMS:
        raise InvalidSearch(f"A search has {MOST_TERMS} terms at most. Look for fewer words.")
    if excluded and not groups:
        raise InvalidSearch(
            "The search says only what is not wanted. Add a word that is to be found."
        )
    if not groups:
        raise InvalidSearch("The search has no word. Type what is to be found.")
    return SearchQuery(
        tuple(tuple(dict.fromkeys(group)) for group in groups),
        tuple(dict.fromkeys(excluded)),
        tuple(notes),
    )


def _terms(text: str, notes: list[str]) -> Iterator[Term | None]:
    """The terms in their order, None for an OR."""
    for found in _TOKEN.finditer(_printable(text).translate(_QUOTES)):
        is_phrase = found["phrase"] is not None
        if not is_phrase and found["word"] in _OR and not found["minus"]:
            yield None
            continue
        words = found["phrase"] if is_phrase else found["word"]
        is_prefix = bool(found["star"]) if is_phrase else words.endswith("*")
        words = " ".join(words.replace("*", " ").split())
        if not any(map(_is_letter, words)):
            continue
        if is_phrase and not found["closed"]:
            notes.append("The last quotation mark has no partner: all that follows is one phrase.")
        if is_prefix and _is_short(words):
            notes.append(
                f"A word before * has {SHORTEST_PREFIX} letters or more: {words}* was taken as "
                f"{words}."
            )
            is_prefix = False
        yield Term(words, is_prefix, bool(found["minus"]))


def _printable(text: str) -> str:
    """With spaces in place of what no text holds: NUL, control characters, half a character."""
    return "".join(
        " " if unicodedata.category(char) in ("Cc", "Cs", "Cn") else char for char in text
    )


def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] in "LN"


def _is_short(words: str) -> bool:
    last = words.rpartition(" ")[2]
    return len(last) < SHORTEST_PREFIX and not any(ord(char) > 0x0DFF for char in last)
