"""TTML captions: times in all their forms, hostile documents."""

import time

import pytest

from tests.support.patience import patience
from tests.ytcaption.domain.captions.test_track_parsing import said
from ytcaption.domain.captions.track_parsing import read_track
from ytcaption.domain.captions.ttml import MAX_DEPTH
from ytcaption.domain.captions.ttml_times import TimeParameters

pytestmark = pytest.mark.unit

HEAD = '<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter"'

SMPTE = {"timeBase": "smpte", "frameRate": "30", "frameRateMultiplier": "1000 1001"}


def ttml(body: str, parameters: str = "") -> bytes:
    return f"<?xml version='1.0'?>{HEAD} {parameters}><body><div>{body}</div></body></tt>".encode()


def test_paragraphs_with_their_lines() -> None:
    """As YouTube serves it: styles, regions and metadata are no text, `br` ends a line."""
    document = f"""<?xml version="1.0" encoding="utf-8" ?>
{HEAD} xmlns:ttm="http://www.w3.org/ns/ttml#metadata" xmlns:tts="http://www.w3.org/ns/ttml#styling">
<head><styling><style xml:id="s1" tts:color="red"/></styling><ttm:title>Not said</ttm:title></head>
<body><div>
<p begin="00:00:00.500" end="00:00:03.000" style="s1">And so,<br />my <span tts:color="red">fellow
  Americans</span> &amp; others</p>
<p begin="00:00:03.500" end="00:00:05.000"><metadata><ttm:desc>A man</ttm:desc></metadata>
[applause]</p>
<p begin="00:00:06.000" end="00:00:07.000">ask not</p>
</div></body></tt>"""
    assert said(read_track(document.encode(), "ttml")) == [
        (0.5, 3.0, ["And so,", "my fellow Americans & others"]),
        (3.5, 5.0, []),
        (6.0, 7.0, ["ask not"]),
    ]


@pytest.mark.parametrize(
    ("text", "parameters", "expected"),
    [
        ("01:02:03", {}, 3723.0),
        ("00:00:01.25", {}, 1.25),
        ("100:00:00", {}, 360_000.0),
        ("00:00:01:15", {}, 1.5),
        ("00:00:01:12", {"frameRate": "24"}, 1.5),
        ("00:00:01:12.1", {"frameRate": "24", "subFrameRate": "2"}, 1 + 12.5 / 24),
        ("1.5h", {}, 5400.0),
        ("2m", {}, 120.0),
        ("1.5s", {}, 1.5),
        ("1500ms", {}, 1.5),
        ("45f", {}, 1.5),
        ("36f", {"frameRate": "24"}, 1.5),
        ("30f", {"frameRate": "30", "frameRateMultiplier": "1000 1001"}, 1.001),
        ("30f", {"frameRate": "30", "frameRateMultiplier": "1000:1001"}, 1.001),
        ("15000000t", {"tickRate": "10000000"}, 1.5),
        ("3t", {}, 3.0),
        ("24t", {"frameRate": "24"}, 1.0),
        ("48t", {"frameRate": "24", "subFrameRate": "2"}, 1.0),
        ("12.5", {}, 12.5),
        (
            "01:00:00:00",
            {"timeBase": "smpte", "frameRate": "30", "frameRateMultiplier": "1000 1001"},
            3603.6,
        ),
        (
            "01:00:00:00",
            {
                "timeBase": "smpte",
                "frameRate": "30",
                "frameRateMultiplier": "1000 1001",
                "dropMode": "dropNTSC",
            },
            3599.9964,
        ),
        ("00:00:02:05", {"timeBase": "smpte", "frameRate": "25"}, 2.2),
        ("01:41:00:10", SMPTE | {"dropMode": "dropNTSC"}, (181_810 - 182) * 1.001 / 30),
        ("01:41:00:10", SMPTE | {"dropMode": "dropPAL"}, (181_810 - 180) * 1.001 / 30),
        ("01:41:00:10", SMPTE | {"dropMode": "nonDrop"}, 181_810 * 1.001 / 30),
        ("wallclock(2026-11-26T10:00:00Z)", {}, None),
        ("-1s", {}, None),
        ("nan", {}, None),
        ("", {}, None),
        ("9" * 400 + "s", {}, None),
    ],
)
def test_times_in_all_their_forms(text: str, parameters: dict[str, str], expected: float | None):
    """Clocks with fractions or frames, offsets of every metric; what is none is none."""
    found = TimeParameters.of(parameters).seconds(text)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("value", ["0", "-5", "nan", "1e9", "9" * 500, "x", "1 0", ""])
def test_parameters_that_are_no_numbers_are_left_out(value: str):
    """Nothing is divided by zero, and nothing is without end."""
    names = ("frameRate", "frameRateMultiplier", "subFrameRate", "tickRate")
    times = TimeParameters.of(dict.fromkeys(names, value))
    assert times.seconds("00:00:01:15") == 1.5 and times.seconds("30f") == 1.0


def test_times_count_from_the_parent_and_end_with_it() -> None:
    """In `seq` one begins where the one before has ended; `dur` and `end` together: the earlier."""
    body = '<p begin="1s" dur="2s" end="10s">one</p><p begin="5s" end="99s">two</p>'
    nested = f"<body begin='100s'><div begin='10s' end='60s'>{body}</div></body></tt>"
    assert said(read_track(f"{HEAD}>{nested}".encode(), "ttml")) == [
        (111.0, 113.0, ["one"]),
        (115.0, 160.0, ["two"]),
    ]
    seq = (
        '<body><div timeContainer="seq"><p dur="2s">a</p><p begin="1s" dur="3s">b</p></div></body>'
    )
    assert said(read_track(f"{HEAD}>{seq}</tt>".encode(), "dfxp")) == [
        (0.0, 2.0, ["a"]),
        (3.0, 6.0, ["b"]),
    ]


def test_spans_with_times_are_words_with_times() -> None:
    """Inside a paragraph that has its own, and in one that has none."""
    spans = '<span begin="0s">so</span> <span begin="0.4s">my</span>'
    (cue,) = read_track(ttml(f'<p begin="1s" end="3s">{spans}</p>'), "ttml")
    assert [(word.text, word.start_s) for word in cue.lines[0]] == [("so", 1.0), (" my", 1.4)]
    spans = '<span begin="2s" end="3s">so</span> <span begin="3s" end="5s">my</span>'
    assert said(read_track(ttml(f"<p>{spans}</p>"), "tt")) == [(2.0, 5.0, ["so my"])]


def test_a_paragraph_without_times_lasts_as_long_as_its_parts() -> None:
    """From the first start to the last end; what has no times in it changes neither."""
    parts = (
        '<span begin="2s" end="5s">so</span><br/><span>my</span> <span begin="3s" end="4s">x</span>'
    )
    assert said(read_track(ttml(f"<p>{parts}</p>"), "ttml")) == [(2.0, 5.0, ["so", "my x"])]


def test_a_paragraph_with_a_time_keeps_it() -> None:
    """Whatever the times of its parts."""
    body = '<p begin="1s"><span begin="2s" dur="1s">one</span></p><p begin="9s">two</p>'
    assert said(read_track(ttml(body), "ttml"))[0] == (1.0, 9.0, ["one"])


def test_only_spans_with_times_of_their_own_give_words_times() -> None:
    """Others are formatting."""
    (cue,) = read_track(ttml('<p begin="1s" end="3s"><span>so</span> my</p>'), "ttml")
    assert [word.start_s for word in cue.lines[0]] == [None, None]


def test_text_outside_of_paragraphs_is_no_caption() -> None:
    """Neither in a span nor in metadata, whose own paragraphs do not end the one around them."""
    body = '<span begin="1s">no</span><span>no</span><p begin="1s" end="2s">so'
    body += (
        '<metadata><x:p xmlns:x="x">no</x:p><span begin="1s" end="9s">no</span></metadata> on</p>'
    )
    assert said(read_track(ttml(body), "ttml")) == [(1.0, 2.0, ["so on"])]


def test_elements_may_be_nested_as_deep_as_allowed() -> None:
    """One more is refused."""
    around = 3  # tt, body, div
    for depth in (MAX_DEPTH, MAX_DEPTH + 1):
        spans = depth - around - 1
        body = f'<p begin="1s" end="2s">{"<span>" * spans}deep{"</span>" * spans}</p>'
        if depth <= MAX_DEPTH:
            assert said(read_track(ttml(body), "ttml")) == [(1.0, 2.0, ["deep"])]
        else:
            with pytest.raises(ValueError, match="nested"):
                read_track(ttml(body), "ttml")


def test_a_text_without_an_end_is_shown_until_the_next() -> None:
    """The last one is shown for five seconds."""
    body = '<p begin="1s">one</p><p begin="4s">two</p>'
    assert said(read_track(ttml(body), "ttml")) == [(1.0, 4.0, ["one"]), (4.0, 9.0, ["two"])]


BOMB = """<?xml version="1.0"?><!DOCTYPE tt [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>
<tt xmlns="http://www.w3.org/ns/ttml"><body><div><p begin="1s" end="2s">&b;</p></div></body></tt>"""
OUTSIDE = """<!DOCTYPE tt [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<tt xmlns="http://www.w3.org/ns/ttml"><body><div><p begin="1s" end="2s">&x;</p></div></body></tt>"""


@pytest.mark.parametrize(
    "data",
    [
        BOMB.encode(),
        OUTSIDE.encode(),
        b"<!DOCTYPE tt><tt><body><div><p begin='1s' end='2s'>no</p></div></body></tt>",
        b"",
        b"not xml",
        b"<tt><body>",
        b"<html><p begin='1s' end='2s'>no</p></html>",
        b"<?xml version='1.0' encoding='nothing'?><tt/>",
        b"\xff\xfe\x00",
        (HEAD + ">" + "<div>" * 100_000).encode(),
        ttml("<p begin='1s' end='2s'>&undefined;</p>"),
    ],
)
def test_what_cannot_be_read_is_a_value_error(data: bytes) -> None:
    """No entity of a document's own, no file, no endless nesting."""
    with pytest.raises(ValueError):
        read_track(data, "ttml")


@pytest.mark.slow
def test_a_large_document_is_read_in_seconds() -> None:
    """The document is as large as captions may be."""
    body = '<p begin="1s" end="2s">word word word</p>' * 190_000
    began = time.perf_counter()
    assert len(read_track(ttml(body), "ttml")) == 190_000
    assert time.perf_counter() - began < 60 * patience()
