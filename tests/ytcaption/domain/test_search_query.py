"""What people type, and what it asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytcaption.domain.errors import InvalidSearch
from ytcaption.domain.search_query import (
    LONGEST_SEARCH,
    MOST_TERMS,
    SearchQuery,
    Term,
    parse_search,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "groups", "excluded"),
    [
        ("ask not", [["ask"], ["not"]], []),
        ('"ask not" what', [["ask not"], ["what"]], []),
        ("captions OR subs video", [["captions", "subs"], ["video"]], []),
        ("a1 | b1 | c1", [["a1", "b1", "c1"]], []),
        ("captions -youtube", [["captions"]], ["youtube"]),
        ('-"two words" one', [["one"]], ["two words"]),
        ("“typographic quotes”", [["typographic quotes"]], []),
        ("OR word OR", [["word"]], []),
        ("or nor", [["or"], ["nor"]], []),
        ("e-mail --dash", [["e-mail"]], ["-dash"]),
        ("(either) & both!", [["(either)"], ["both!"]], []),
        ("word word", [["word"], ["word"]], []),
        ("東京 大阪", [["東京"], ["大阪"]], []),
    ],
)
def test_terms(text: str, groups: list[list[str]], excluded: list[str]) -> None:
    """Words, phrases, alternatives and what is not wanted."""
    query = parse_search(text)
    assert [[term.text for term in group] for group in query.groups] == groups
    assert [term.text for term in query.excluded] == excluded


def test_a_word_may_go_on() -> None:
    """After three letters or more; one character of a script that has words of one is enough."""
    assert parse_search("transcri*").groups == ((Term("transcri", is_prefix=True),),)
    assert parse_search('"the trans*"').groups == ((Term("the trans", is_prefix=False),),)
    assert parse_search('"the trans"*').groups == ((Term("the trans", is_prefix=True),),)
    assert parse_search("京*").groups == ((Term("京", is_prefix=True),),)
    short = parse_search("co*")
    assert short.groups == ((Term("co"),),)
    assert "co* was taken as co" in short.notes[0]


def test_a_quotation_mark_without_partner_is_noted() -> None:
    """What follows it is a phrase."""
    query = parse_search('ask "your country')
    assert query.groups == ((Term("ask"),), (Term("your country"),))
    assert "no partner" in query.notes[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no word"),
        (' "" * - !? \x00', "no word"),
        ("-this -that", "only excludes words"),
        ("x" * (LONGEST_SEARCH + 1), "500 characters"),
        ("ab " * (MOST_TERMS + 1), "20 terms"),
    ],
)
def test_what_asks_for_nothing_is_refused(text: str, says: str) -> None:
    """The error says what to do."""
    with pytest.raises(InvalidSearch, match=says):
        parse_search(text)


@given(st.text(st.characters() | st.sampled_from('"-|* OR\x00'), max_size=60))
def test_any_text_is_a_tree_or_an_error(text: str) -> None:
    """Of terms that each have a letter or digit, and nothing that a text cannot hold."""
    try:
        query = parse_search(text)
    except InvalidSearch as error:
        assert error.message
        return
    assert isinstance(query, SearchQuery)
    for term in (*query.wanted, *query.excluded):
        assert any(char.isalnum() for char in term.text) or ord(max(term.text)) > 127
        assert "\x00" not in term.text
        term.text.encode()
