"""The QA report finds what is wrong, where, and nothing else."""

import json

import pytest
from hypothesis import given

from tests.ytcaption.domain.captions.samples import at_most, real_transcript, transcripts
from ytcaption.domain.captions.cues import Cue, cues
from ytcaption.domain.captions.quality import KINDS, qa_report
from ytcaption.domain.captions.style import CaptionStyle
from ytcaption.domain.transcripts.transcript import Transcript

pytestmark = pytest.mark.unit

STYLE = CaptionStyle()
GOOD = Cue(0, 2000, ("A good caption.",))


def test_good_captions_pass():
    """Nothing is over a limit."""
    report = qa_report([GOOD, Cue(2084, 4000, ("Another one,", "on two lines."))], STYLE)
    assert report.ok_share == 1.0 and not report.first and not any(report.over.values())


@pytest.mark.parametrize(
    ("kind", "cue"),
    [
        ("line_too_long", Cue(3000, 8000, ("x" * 43,))),
        ("too_many_lines", Cue(3000, 5000, ("a", "b", "c"))),
        ("empty_line", Cue(3000, 5000, ("a", " "))),
        ("overlap", Cue(1999, 4000, ("text",))),
        ("gap_too_short", Cue(2083, 4000, ("text",))),
        ("too_long", Cue(3000, 10_001, ("text",))),
        ("too_short", Cue(3000, 3829, ("text",))),
        ("too_fast", Cue(3000, 4000, ("x" * 21,))),
    ],
)
def test_each_fault_is_counted_and_located(kind: str, cue: Cue):
    """One step over one limit is that fault alone, at the second caption."""
    report = qa_report([GOOD, cue], STYLE)
    assert report.over == {other: int(other == kind) for other in KINDS}
    assert report.first == {kind: 2}
    assert report.ok_share == 0.5


def test_what_is_at_a_limit_is_within_it():
    """The widest line, the shortest and the longest time, the smallest gap, the highest speed."""
    captions = [
        Cue(0, 830, ("text",)),
        Cue(914, 3014, ("x" * 42,)),
        Cue(3098, 10_098, ("text", "text")),
    ]
    report = qa_report(captions, STYLE)
    assert (report.cues_ok, report.max_cps, report.max_line_columns) == (3, 20.0, 42)


def test_captions_that_touch_do_not_overlap():
    """They have no gap. Each is counted, the first is located."""
    report = qa_report([GOOD, Cue(2000, 4000, ("a",)), Cue(4000, 6000, ("b",))], STYLE)
    assert report.over == {kind: 2 * (kind == "gap_too_short") for kind in KINDS}
    assert report.first == {"gap_too_short": 2}


def test_speed_counts_a_line_break_as_a_character():
    """Ten and ten characters in a second and a line break: 21 a second."""
    assert qa_report([Cue(0, 1000, ("x" * 10, "y" * 10))], STYLE).max_cps == 21.0


def test_no_captions_are_all_right():
    """An empty transcript has no fault, and its report no division by zero."""
    report = qa_report([], STYLE)
    assert (report.cues, report.ok_share) == (0, 1.0)
    assert (report.max_cps, report.max_line_columns) == (0.0, 0)


def test_the_report_is_flat_json():
    """Numbers for an asset's metadata, and the first fault of each kind."""
    captions = cues(real_transcript("joanis-fr"))
    data = json.loads(json.dumps(qa_report(captions, STYLE).to_dict()))
    assert data["cues"] == len(captions) and data["too_fast"] > 0
    fast = captions[data["first"]["too_fast"] - 1]
    assert len(fast.text) * 1000 / fast.duration_ms > 20


def test_the_report_is_short():
    """Shares to four digits and speeds to one, beside the counts."""
    captions = [GOOD, Cue(3000, 4900, ("x" * 42,)), Cue(5000, 7000, ("good",))]
    assert qa_report(captions, STYLE).to_dict() == {
        "cues": 3,
        "ok_share": 0.6667,
        "max_cps": 22.1,
        "max_line_columns": 42,
        **{kind: int(kind == "too_fast") for kind in KINDS},
        "first": {"too_fast": 2},
    }


@given(transcripts())
@at_most(60)
def test_our_own_captions_never_have_a_fault_that_can_be_avoided(transcript: Transcript):
    """No overlap, no short gap, nothing too long, no empty line and not a line too many."""
    report = qa_report(cues(transcript, STYLE), STYLE)
    for kind in ("overlap", "gap_too_short", "too_long", "empty_line", "too_many_lines"):
        assert report.over[kind] == 0
