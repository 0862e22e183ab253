"""Parse a search into a tree of terms.

    ask not            both words, somewhere near each other
    "ask not"          next to each other
    captions OR subs   either; binds tighter than the space
    captions -youtube  without
    transcri*          words that begin with it

Everything else is text: no input is a syntax error, but some inputs search for nothing.
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
"""Letters before a `*`: fewer begin too many words."""

_TOKEN = re.compile(
    r'(?P<minus>-?)(?:"(?P<phrase>[^"]*)(?P<closed>"?)(?P<star>\*?)|(?P<word>[^\s"]+))'
)
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»「」『』＂", '"'))
_OR = frozenset({"OR", "|"})


@dataclass(frozen=True)
class Term:
    """One word, or several next to each other.

    Attributes:
        is_prefix: its last word may continue.
    """

    text: str
    is_prefix: bool = False
    is_excluded: bool = False


@dataclass(frozen=True)
class SearchQuery:
    """A parsed search: each group must match with one of its terms, and no excluded term may match.

    Attributes:
        groups: each not empty, of alternative terms; at least one group.
        excluded: terms that must not match.
        notes: what was understood differently from how it may have been meant, for a person.
    """

    groups: tuple[tuple[Term, ...], ...]
    excluded: tuple[Term, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[Term, ...]:
        """All terms of all groups."""
        return tuple(term for group in self.groups for term in group)

    def any_of_them(self) -> "SearchQuery":
        """Return the query in which any one term is enough, with a note that says so."""
        note = "No place has all of these words; these have one or some of them."
        return SearchQuery((self.wanted,), self.excluded, (*self.notes, note))


def parse_search(text: str) -> SearchQuery:
    """Return the tree of a person's input.

    Raises:
        InvalidSearch: it is empty, too long, has too many terms, or only exclusions.
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
        raise InvalidSearch("The search only excludes words. Add a word to find.")
    if not groups:
        raise InvalidSearch("The search has no words. Give a word to find.")
    return SearchQuery(
        tuple(tuple(dict.fromkeys(group)) for group in groups),
        tuple(dict.fromkeys(excluded)),
        tuple(notes),
    )


def _terms(text: str, notes: list[str]) -> Iterator[Term | None]:
    """Yield the terms in order, None for an OR."""
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
    """Replace NUL, control characters and lone surrogates by spaces."""
    return "".join(
        " " if unicodedata.category(char) in ("Cc", "Cs", "Cn") else char for char in text
    )


def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] in "LN"


def _is_short(words: str) -> bool:
    last = words.rpartition(" ")[2]
    return len(last) < SHORTEST_PREFIX and not any(ord(char) > 0x0DFF for char in last)
