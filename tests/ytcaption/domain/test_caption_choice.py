"""Which captions are taken."""

import pytest

from ytcaption.domain.caption_choice import (
    CaptionOffers,
    CaptionsWanted,
    choose_captions,
    primary_language,
)

pytestmark = pytest.mark.unit

ALL = CaptionOffers(
    manual=("de", "en-GB", "en"), automatic=("fr-orig", "fr"), translated=("es", "de-en")
)


@pytest.mark.parametrize(
    ("wanted", "spoken", "expected"),
    [
        (CaptionsWanted("prefer"), "en-US", ("manual", "en", "en")),
        (CaptionsWanted("prefer", "de"), "de", ("manual", "de", "de")),
        (CaptionsWanted("prefer", "de"), "en", ("translated", "de", "de")),
        (CaptionsWanted("prefer", "fr"), "fr", (None, None, None)),
        (CaptionsWanted("prefer_any", "fr"), "fr", ("automatic", "fr", "fr")),
        (CaptionsWanted("only", "fr"), "fr", ("automatic", "fr", "fr")),
        (CaptionsWanted("prefer_any", "en"), "en", ("manual", "en", "en")),
        (CaptionsWanted("prefer"), None, (None, None, None)),
        (CaptionsWanted("prefer_any"), None, ("automatic", "fr", "fr")),
        (CaptionsWanted("only", "es"), "es", (None, None, None)),
        (CaptionsWanted("prefer", "en", "translate"), "en", (None, None, None)),
        (CaptionsWanted("never", "en"), "en", (None, None, None)),
    ],
)
def test_a_track_is_taken_in_the_wanted_or_spoken_language(
    wanted: CaptionsWanted, spoken: str | None, expected: tuple[str | None, ...]
) -> None:
    """Each policy takes what it allows; automatic captions tell what is spoken."""
    choice = choose_captions(wanted, spoken, ALL)
    assert (choice.kind, choice.track, choice.language) == expected
    assert choice.reason.endswith(".")


def test_machine_translations_are_recognised_and_never_used() -> None:
    """`es` is there by machine alone, and `only` does without."""
    choice = choose_captions(CaptionsWanted("only", "es"), "en", ALL)
    assert choice.kind is None
    assert choice.reason == "The captions in the wanted language are machine translations."


def test_the_only_manual_track_is_taken_where_nothing_else_will_do() -> None:
    """Nobody says what is spoken: `only` takes the one language there is, `prefer` does not."""
    one = CaptionOffers(manual=("pt-BR",))
    assert choose_captions(CaptionsWanted("only"), None, one).language == "pt"
    assert choose_captions(CaptionsWanted("prefer"), None, one).kind is None
    two = CaptionOffers(manual=("pt-BR", "en"))
    assert choose_captions(CaptionsWanted("only"), "und", two).kind is None


def test_codes_of_sites_are_whispers() -> None:
    """Regions and old codes fold; `und` is no language."""
    codes = {"en-US": "en", "zh_Hant": "zh", "iw": "he", "en-orig": "en", "und": None, "": None}
    assert {code: primary_language(code) for code in codes} == codes
    offers = CaptionOffers(manual=("iw",))
    assert choose_captions(CaptionsWanted("prefer", "he"), None, offers).track == "iw"
