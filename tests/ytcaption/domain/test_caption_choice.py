"""Which captions are taken."""

import json
from dataclasses import asdict

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


@pytest.mark.parametrize(
    ("manual", "expected"),
    [
        (("iw", "he"), "he"),
        (("iw", "HE"), "HE"),
        (("he-IL-x-short", "iw-IL"), "iw-IL"),
    ],
)
def test_of_several_tracks_the_plainest_is_taken(manual: tuple[str, ...], expected: str) -> None:
    """The code itself in any case, before other codes and regions of the same language."""
    choice = choose_captions(CaptionsWanted("prefer", "he"), "he", CaptionOffers(manual=manual))
    assert choice.track == expected


@pytest.mark.parametrize(
    ("wanted", "spoken", "offers", "says"),
    [
        (CaptionsWanted("never"), "en", ALL, "not wanted"),
        (CaptionsWanted("prefer", "en", "translate"), "en", ALL, "translation"),
        (CaptionsWanted("prefer"), "en", None, "not searched for"),
        (CaptionsWanted("prefer"), None, CaptionOffers(("de",)), "not state the spoken language"),
        (CaptionsWanted("prefer"), "en", ALL, "in the spoken language, made by people"),
        (CaptionsWanted("prefer", "de"), "en", ALL, "in the wanted language, translated by people"),
        (CaptionsWanted("prefer", "fr"), "fr", ALL, "are automatic"),
        (CaptionsWanted("prefer_any", "fr"), "fr", ALL, "none made by people"),
        (CaptionsWanted("only", "es"), "es", ALL, "machine translations"),
        (CaptionsWanted("prefer", "pl"), "en", ALL, "no captions in the wanted language"),
    ],
)
def test_a_choice_is_explained(
    wanted: CaptionsWanted, spoken: str | None, offers: CaptionOffers | None, says: str
) -> None:
    """People see why captions were taken or not, and what the source says is spoken."""
    choice = choose_captions(wanted, spoken, offers)
    assert says in choice.reason
    assert choice.reason[0].isupper() and choice.reason.endswith(".")
    assert choice.spoken_language == (spoken or None)
    assert choice.to_dict()["reason"] == choice.reason


def test_automatic_captions_may_be_in_another_language_than_is_spoken() -> None:
    """The track's language is kept beside the spoken one."""
    choice = choose_captions(CaptionsWanted("only", "fr"), "en", ALL)
    assert (choice.kind, choice.track, choice.language) == ("automatic", "fr", "fr")
    assert choice.spoken_language == "en"


def test_unknown_tracks_of_an_unknown_language_are_no_error() -> None:
    """The audio is transcribed."""
    assert choose_captions(CaptionsWanted("prefer"), None, None).kind is None


def test_offers_are_read_back_from_json() -> None:
    """They are stored with the audio."""
    assert CaptionOffers.from_dict(json.loads(json.dumps(asdict(ALL)))) == ALL
