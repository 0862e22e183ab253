"""Segments to passages."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytcaption.domain.transcripts.passages import PASSAGE_S, Said, passages

pytestmark = pytest.mark.unit


def said(*lengths_s: float) -> list[Said]:
    """Segments one after the other."""
    starts = [sum(lengths_s[:at]) for at in range(len(lengths_s))]
    return [
        Said(index, start_s, start_s + length_s, f"s{index}")
        for index, (start_s, length_s) in enumerate(zip(starts, lengths_s, strict=True))
    ]


def places(segments: list[Said]) -> list[tuple[int, int]]:
    return [(each.first_index, each.last_index) for each in passages(segments)]


def test_passages_of_half_a_minute_overlap_by_half():
    """Of segments of five seconds six each, the next one three later."""
    assert places(said(*[5.0] * 12)) == [(0, 5), (3, 8), (6, 11)]
    assert next(passages(said(5, 5))).text == "s0 s1"


def test_what_fits_into_one_is_one():
    """No second passage that is a part of the first; nothing of nothing."""
    assert places(said(5, 5, 5, 5)) == [(0, 3)]
    assert places([]) == []


def test_a_long_segment_is_a_passage():
    """It is not cut."""
    assert places(said(5, 100, 5)) == [(0, 0), (1, 1), (2, 2)]


@given(st.lists(st.floats(0.1, 60), max_size=60))
def test_all_is_in_passages_of_bounded_length(lengths_s: list[float]):
    """Each segment is in one; each passage but of one segment is short, and none is in another."""
    segments = said(*lengths_s)
    found = places(segments)
    assert {at for first, last in found for at in range(first, last + 1)} == set(
        range(len(segments))
    )
    for first, last in found:
        length_s = segments[last].end_s - segments[first].start_s
        assert first == last or length_s <= PASSAGE_S
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(found))
