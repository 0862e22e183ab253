"""Cues of tracks as segments."""

import json
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ytcaption.domain.captions.samples import at_most
from ytcaption.domain.captions.track_parsing import read_track
from ytcaption.domain.captions.track_segments import CaptionTrack
from ytcaption.domain.transcripts.transcript import Segment

pytestmark = pytest.mark.unit

Said = list[list[tuple[str, int]]]
"""Lines of words with their start in milliseconds."""


@st.composite
def lines(draw: st.DrawFn) -> Said:
    """What somebody says: few words, so that lines and words repeat."""
    now_ms = draw(st.integers(0, 5_000))
    said: Said = []
    for _ in range(draw(st.integers(1, 8))):
        line = []
        for _ in range(draw(st.integers(1, 5))):
            line.append((draw(st.sampled_from(["ha", "no", "the", "über", "cat."])), now_ms))
            now_ms += draw(st.integers(40, 900))
        said.append(line)
        now_ms += draw(st.sampled_from([20, 500, 7_000]))
    return said


def clock(time_ms: int) -> str:
    seconds, milliseconds = divmod(time_ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}"


def rolling(said: Said) -> bytes:
    """WebVTT as YouTube writes it: each line below the one before, then for 10 ms alone."""
    rows, before = ["WEBVTT\nKind: captions\nLanguage: en\n"], " "
    for line, after in zip(said, [*said[1:], None], strict=True):
        (first, start_ms), *rest = line
        end_ms = after[0][1] - 10 if after else line[-1][1] + 3_000
        timed = first + "".join(f"<{clock(at)}><c> {word}</c>" for word, at in rest)
        plain = " ".join(word for word, _ in line)
        times = f"{clock(start_ms)} --> {clock(end_ms)} align:start position:0%"
        rows.append(f"{times}\n{before}\n{timed}\n")
        rows.append(f"{clock(end_ms)} --> {clock(end_ms + 10)} align:start\n{plain}\n \n")
        before = plain
    return "\n".join(rows).encode()


def json3(said: Said) -> bytes:
    """The same as json3: a line an event, shown until two later ones have come."""
    events = [
        {
            "tStartMs": line[0][1],
            "dDurationMs": line[-1][1] - line[0][1] + 8_000,
            "segs": [
                {"utf8": f"{' ' if place else ''}{word}"}
                | ({"tOffsetMs": at - line[0][1]} if place else {})
                for place, (word, at) in enumerate(line)
            ],
        }
        for line in said
    ]
    return json.dumps({"events": events}).encode()


def webvtt(*cues: tuple[int, int, str]) -> CaptionTrack:
    """A track of cues: start and end in milliseconds, text."""
    rows = [f"{clock(start)} --> {clock(end)}\n{text}\n" for start, end, text in cues]
    return CaptionTrack("vtt", "\n".join(["WEBVTT\n", *rows]).encode())


def spans(track: CaptionTrack) -> list[tuple[str, int, int]]:
    """The words of a manual track with start and end in milliseconds."""
    return [
        (word.text.strip(), round(word.start_s * 1000), round(word.end_s * 1000))
        for segment in track.segments("manual")
        for word in segment.words
    ]


def starts(segments: tuple[Segment, ...]) -> list[tuple[str, int]]:
    return [
        (word.text.strip(), round(word.start_s * 1000))
        for segment in segments
        for word in segment.words
    ]


@at_most(80)
@given(lines())
def test_each_word_once_with_its_time(said: Said) -> None:
    """Whatever is said and repeated, rolling WebVTT and json3 give back every word and time."""
    expected = [word for line in said for word in line]
    for track in (CaptionTrack("vtt", rolling(said)), CaptionTrack("json3", json3(said))):
        segments = track.segments("automatic")
        assert starts(segments) == expected
        assert all(segment.start_s <= segment.end_s for segment in segments)
        assert all(before.end_s <= after.start_s for before, after in pairwise(segments))


times = st.integers(0, 20_000)


@at_most(80)
@given(st.lists(st.tuples(times, times, st.sampled_from(["a", "b c", "日本", " "]))))
def test_times_never_go_back(cues: list[tuple[int, int, str]]) -> None:
    """Cues that overlap, go back or end before they begin become segments in order."""
    segments = webvtt(*cues).segments("manual")
    words = [word for segment in segments for word in segment.words]
    assert [segment.index for segment in segments] == list(range(len(segments)))
    assert all(word.start_s <= word.end_s for word in words)
    assert all(before.end_s <= after.start_s for before, after in pairwise(words))
    assert all("".join(w.text for w in s.words) == s.text == s.text.strip() for s in segments)


def test_what_people_repeat_stays() -> None:
    """Two captions in a row that say the same were said twice; words share their caption's time."""
    track = b"1\n00:00:01,000 --> 00:00:02,000\nNo. Never.\n\n"
    track += b"2\n00:00:02,000 --> 00:00:03,000\nNo. Never.\n"
    segments = CaptionTrack("srt", track).segments("manual")
    assert starts(segments) == [("No.", 1000), ("Never.", 1333), ("No.", 2000), ("Never.", 2333)]


def test_a_manual_track_that_rolls_is_known_by_that() -> None:
    """Roll-up captions of television, converted: two lines, the upper one known."""
    said = ["one two", "three four", "five six", "seven eight", "nine ten"]
    rows = [
        f"{clock(n * 1000)} --> {clock(n * 1000 + 1000)}\n{before}\n{line}\n"
        for n, (before, line) in enumerate(zip(["zero", *said], said, strict=False))
    ]
    segments = CaptionTrack("vtt", "\n".join(["WEBVTT\n", *rows]).encode()).segments("manual")
    assert " ".join(each.text for each in segments) == "zero " + " ".join(said)


def test_a_line_that_grows_is_said_once() -> None:
    """A line to which words are added one by one is one segment."""
    rows = [
        f"{clock(n * 1000)} --> {clock(n * 1000 + 1000)}\n{text}\n"
        for n, text in enumerate(["so", "so my", "so my fellow"])
    ]
    track = CaptionTrack("vtt", "\n".join(["WEBVTT\n", *rows]).encode())
    assert starts(track.segments("automatic")) == [("so", 0), ("my", 1000), ("fellow", 2000)]


def test_a_line_with_times_of_its_own_is_new() -> None:
    """Somebody laughs twice, a line each time, and neither is shown twice."""
    rows = [
        f"{clock(at)} --> {clock(at + 1000)}\nha<{clock(at + 500)}><c> ha</c>\n" for at in (0, 1000)
    ]
    track = CaptionTrack("vtt", "\n".join(["WEBVTT\n", *rows]).encode())
    said = [("ha", 0), ("ha", 500), ("ha", 1000), ("ha", 1500)]
    assert starts(track.segments("automatic")) == said


def test_an_empty_track_says_nothing() -> None:
    """A track without cues has no segments."""
    assert read_track(b"", "vtt") == []
    assert CaptionTrack("vtt", b"WEBVTT\n").segments("manual") == ()


def test_words_of_captions_that_roll_in_after_silence_are_new() -> None:
    """Also those that were said before it."""
    track = webvtt((0, 1000, "no one"), (3000, 4000, "no one"), (4000, 5000, "no one\nthere"))
    said = [("no", 0), ("one", 400), ("no", 3000), ("one", 3400), ("there", 4000)]
    assert starts(track.segments("automatic")) == said


def test_lines_that_roll_are_known_by_three_repetitions() -> None:
    """Of one word each, too. Two repetitions among three captions are spoken."""
    rolling = ["one", "one\ntwo", "two\nthree", "three\nfour"]
    cues = [(n * 1000, n * 1000 + 1000, text) for n, text in enumerate(rolling)]
    assert [word for word, *_ in spans(webvtt(*cues))] == ["one", "two", "three", "four"]
    spoken = [(n * 1000, n * 1000 + 1000, "No. Never.") for n in range(3)]
    said = [word for word, *_ in spans(webvtt(*spoken, (4000, 5000, "Yes."), (5000, 6000, "So.")))]
    assert said == [*["No.", "Never."] * 3, "Yes.", "So."]


def test_three_lines_that_roll_are_said_once() -> None:
    """Two of them were shown before."""
    said = ["one two", "three four", "five six", "seven eight", "nine ten"]
    cues = [(n * 1000, n * 1000 + 1000, "\n".join(said[n : n + 3])) for n in range(3)]
    segments = webvtt(*cues).segments("automatic")
    assert " ".join(each.text for each in segments) == " ".join(said)


def test_what_is_repeated_in_json3_was_said() -> None:
    """Its events hold new words alone, of automatic and of manual captions."""
    events = [
        {"tStartMs": n * 1000, "dDurationMs": 1000, "segs": [{"utf8": "no no"}]} for n in range(5)
    ]
    track = CaptionTrack("json3", json.dumps({"events": events}).encode())
    for segments in (track.segments("automatic"), track.segments("manual")):
        assert [segment.text for segment in segments] == ["no no"] * 5


def test_lines_are_joined_as_their_script_does() -> None:
    """A space between words, none between Japanese characters; times of words stay."""
    track = webvtt((0, 1000, "one\ntwo"), (1000, 2000, "日本\n語"))
    assert [segment.text for segment in track.segments("manual")] == ["one two", "日本語"]
    timed = webvtt((0, 3000, "so\n<00:00:01.500>my<00:00:02.000><c> own</c>"))
    assert spans(timed) == [("so", 0, 1500), ("my", 1500, 2000), ("own", 2000, 3000)]


def test_a_word_with_a_time_ends_before_silence() -> None:
    """Two seconds a word at the most, although the line stays; without times it lasts as shown."""
    assert spans(webvtt((0, 60_000, "so"))) == [("so", 0, 60_000)]
    assert spans(webvtt((0, 60_000, "so<00:00:01.000><c> my</c>"))) == [
        ("so", 0, 1000), ("my", 1000, 3000)
    ]  # fmt: skip
    assert spans(webvtt((0, 60_000, "so<00:00:01.000><c> my own</c>"))) == [
        ("so", 0, 1000), ("my", 1000, 2600), ("own", 2600, 5000)
    ]  # fmt: skip


@pytest.mark.parametrize(("stamp_ms", "start_ms"), [(1500, 1500), (200, 1000), (9000, 3000)])
def test_a_first_word_with_a_time_starts_within_its_caption(stamp_ms: int, start_ms: int) -> None:
    """An earlier or later time is its start or its end."""
    assert spans(webvtt((1000, 3000, f"<{clock(stamp_ms)}>so")))[0][:2] == ("so", start_ms)


def test_words_may_share_a_time() -> None:
    """Two in one moment, and one at the end of its caption."""
    text = "a<00:00:01.400> b<00:00:01.400> c<00:00:02.000> d"
    assert [start for _, start, _ in spans(webvtt((1000, 2000, text)))] == [1000, 1400, 1400, 2000]


def test_words_without_times_share_their_caption_by_length() -> None:
    """One letter of three in three seconds takes one."""
    assert spans(webvtt((0, 3000, "I am"))) == [("I", 0, 1000), ("am", 1000, 3000)]


def test_captions_have_no_scores() -> None:
    """People are certain of what they write; repetition is measured as in transcripts."""
    once, often = webvtt((0, 1000, "Yes."), (1000, 9000, "ha " * 100)).segments("manual")
    for segment in (once, often):
        assert (segment.avg_logprob, segment.no_speech_prob, segment.temperature) == (0, 0, 0)
        assert {word.probability for word in segment.words} == {1.0}
    assert once.compression_ratio < 1 and often.compression_ratio > 10


def one_start() -> CaptionTrack:
    """0.5 MB of events that start together."""
    event = {"tStartMs": 0, "dDurationMs": 9, "segs": [{"utf8": "a"}]}
    return CaptionTrack("json3", json.dumps({"events": [event] * 8_000}).encode())


def long_cues() -> CaptionTrack:
    """Two cues of 40,000 lines, of which all but the first could be the same."""
    lines = "a\n" * 40_000
    cues = f"0:00.000 --> 0:01.000\n{lines}\n0:01.000 --> 0:02.000\nb\n{lines}\n"
    return CaptionTrack("vtt", f"WEBVTT\n\n{cues}".encode())


@pytest.mark.long
@pytest.mark.parametrize("track", [one_start(), long_cues()], ids=["one start", "long cues"])
def test_the_work_grows_with_the_size(track: CaptionTrack) -> None:
    """Less than a megabyte takes about a second, not most of a minute."""
    began = time.process_time()
    assert 1 <= len(track.segments("manual")) <= 2
    assert time.process_time() - began < 8
