"""The comparison of a rehearsal notices what is missing or different, and no more."""

from typing import Any

import pytest

from tests.rehearsal.content import differences

pytestmark = pytest.mark.unit

BEFORE: dict[str, Any] = {
    "transcriptions": {"a": {"view": {"language": "en", "updated_at": 1}, "results": ["text"]}},
    "lake": {"words": {"h1": {"text": "ask"}}},
}


@pytest.mark.parametrize(
    "after",
    [
        BEFORE,
        {**BEFORE, "channels": {}},
        {**BEFORE, "lake": {"words": {"h1": {"text": "ask"}, "h2": {"text": "not"}}}},
        {
            **BEFORE,
            "transcriptions": {
                "a": {"view": {"language": "en", "updated_at": 2, "new": 1}, "results": ["text"]}
            },
        },
    ],
    ids=["the same", "a new kind", "a new row", "a new field and another time"],
)
def test_what_a_later_version_adds_is_no_difference(after: dict[str, Any]) -> None:
    """Fields, items and times of changes."""
    assert list(differences(BEFORE, after)) == []


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ({**BEFORE, "transcriptions": {}}, "/transcriptions/a is missing"),
        ({**BEFORE, "lake": {"words": {}}}, "/lake/words/h1 is missing"),
        (
            {**BEFORE, "transcriptions": {"a": {"view": {"language": "de"}, "results": ["text"]}}},
            "/transcriptions/a/view/language was 'en' and is 'de'",
        ),
        (
            {**BEFORE, "transcriptions": {"a": {"view": {"language": "en"}, "results": []}}},
            "/transcriptions/a/results was \"['text']\" and is '[]'",
        ),
    ],
    ids=["an item", "a row", "a value", "an element"],
)
def test_what_is_gone_or_different_is_named(after: dict[str, Any], expected: str) -> None:
    """With its place and both values."""
    assert list(differences(BEFORE, after)) == [expected]


def test_only_the_named_places_may_differ() -> None:
    """Between two versions; within one version none is named."""
    after = {**BEFORE, "lake": {"words": {"h1": {"text": "tell"}}}}
    assert list(differences(BEFORE, after, intended=["/lake/words/[^/]+/text"])) == []
    assert len(list(differences(BEFORE, after, intended=["/lake/words"]))) == 0
    assert len(list(differences(BEFORE, after, intended=["/lake/word"]))) == 1
    assert len(list(differences(BEFORE, after))) == 1
