"""The costs of ending a caption or a line between two units, which `cues` minimises."""

from itertools import pairwise
from typing import NamedTuple

from ytcaption.domain.captions.function_words import ABBREVIATIONS, CLINGS_TO_NEXT, OPENS_CLAUSE
from ytcaption.domain.captions.units import CaptionUnit, needs_no_space

_CLOSERS = "\"'”’»“«)]}）」』】〕〉》〙〗｝］"
_SENTENCE_END = frozenset(".!?…。！？‼⁇⁈⁉؟۔।॥။።܂")
_CLAUSE_END = frozenset(",;:–—、，；：،؛၊፣·)）」』")
_DASH_END = ("--", " -")

LONG_PAUSE_MS = 2000
"""A caption that stays over a longer pause is read long before its words are spoken."""
_NOTABLE_PAUSE_MS = 250

# One scale for all costs: 0 reads as if planned, 10 is a break in mid-clause, 20 hurts.
_MID_CLAUSE = 10.0
_AFTER_CLAUSE = 2.5
_AFTER_SMALL_WORD = 8.0
_BEFORE_CONJUNCTION = -4.0
_BETWEEN_SEGMENTS = -2.0
_AFTER_HIRAGANA, _BEFORE_HIRAGANA, _INSIDE_COMPOUND = -5.0, 3.0, 6.0
_PAST_SENTENCE = 5.0


class Break(NamedTuple):
    """The boundary between two neighbouring units.

    Attributes:
        cost: cost of ending a caption or a line here.
        keep_cost: cost of keeping this boundary inside a caption: a sentence end or a pause.
        forced: a caption must end here.
    """

    cost: float
    keep_cost: float
    forced: bool


def ends_sentence(text: str, following: str | None) -> bool:
    """Return whether a unit ends a sentence, judged by its punctuation and the following text.

    Abbreviations, initials and ordinals do not end one.
    """
    body = text.rstrip(_CLOSERS)
    if not body or body[-1] not in _SENTENCE_END:
        return False
    if body[-1] not in ".…" or following is None:
        return True
    start = following.lstrip("\"'“„«‘([-–— ¿¡")[:1]
    if start.islower():
        return False
    if body[-1] == "…":
        return True
    word = body.lower().lstrip("\"'“„«‘([")
    is_initial = len(word) == 2 and word[0].isalpha() and not needs_no_space(word[0], word[0])
    is_ordinal = len(word) <= 3 and word[:-1].isdecimal()  # German `am 3. Mai`
    return not (is_initial or is_ordinal or word in ABBREVIATIONS)


def ends_clause(text: str) -> bool:
    """Return whether a unit ends a clause, judged by its punctuation."""
    body = text.rstrip("\"'”’»")
    return bool(body) and (body[-1] in _CLAUSE_END or body.endswith(_DASH_END))


def _bare(text: str) -> str:
    return text.strip("\"'“”„«»‘’()[]¿¡.,;:!?…").lower()


def breaks(units: list[CaptionUnit], language: str | None) -> list[Break]:
    """Return the break before each unit; index 0 is the start of the text.

    Args:
        language: of the text. Function words are known for the languages of `CLINGS_TO_NEXT`.
    """
    clings = CLINGS_TO_NEXT.get(language or "", frozenset())
    opens = OPENS_CLAUSE.get(language or "", frozenset())
    found = [Break(0.0, 0.0, True)]
    for previous, unit in pairwise(units):
        pause_ms = unit.start_ms - previous.end_ms
        keep = max(0.0, pause_ms - _NOTABLE_PAUSE_MS) / 100
        if ends_sentence(previous.text, unit.text):
            found.append(Break(0.0, keep + _PAST_SENTENCE, pause_ms > LONG_PAUSE_MS))
            continue
        if ends_clause(previous.text) or (unit.space and _is_thai_phrase(previous, unit)):
            cost = _AFTER_CLAUSE
        else:
            cost = _MID_CLAUSE
            if _bare(previous.text) in clings:
                cost += _AFTER_SMALL_WORD
            elif _bare(unit.text) in opens:
                cost += _BEFORE_CONJUNCTION
            elif language == "ja":
                cost += _japanese(previous.text[-1], unit.text[0])
            if unit.opens_segment:
                cost += _BETWEEN_SEGMENTS
        if pause_ms > _NOTABLE_PAUSE_MS:
            cost -= min(pause_ms / 100, _MID_CLAUSE)
        found.append(Break(max(cost, 0.0), keep, pause_ms > LONG_PAUSE_MS))
    return found


def _japanese(last: str, first: str) -> float:
    """Phrases (bunsetsu) mostly end in hiragana and begin in kanji, katakana or Latin letters."""
    if _is_hiragana(first):
        return _BEFORE_HIRAGANA
    return _AFTER_HIRAGANA if _is_hiragana(last) else _INSIDE_COMPOUND


def _is_hiragana(character: str) -> bool:
    return "\u3041" <= character <= "\u309f"


def _is_thai_phrase(previous: CaptionUnit, unit: CaptionUnit) -> bool:
    """Thai, Lao, Burmese, Khmer and Tibetan write a space where other scripts write a comma."""
    return "\u0e00" <= previous.text[-1] <= "\u17ff" and (
        "\u0e00" <= unit.text[0] <= "\u109f" or "\u1780" <= unit.text[0] <= "\u17ff"
    )
