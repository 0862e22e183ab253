"""Caption tracks as sites serve them."""

import json
import time

import pytest

from tests.support.patience import patience
from ytcaption.domain.captions import track_parsing
from ytcaption.domain.captions.track_parsing import MAX_TRACK_BYTES, TrackCue, read_track

pytestmark = pytest.mark.unit


def said(cues: list[TrackCue]) -> list[tuple[float, float, list[str]]]:
    return [
        (cue.start_s, cue.end_s, ["".join(word.text for word in line) for line in cue.lines])
        for cue in cues
    ]


def test_webvtt_without_its_markup() -> None:
    """Tags, voices, entities, notes, styles, settings and identifiers are no text."""
    track = """\ufeffWEBVTT - title
X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0

STYLE
::cue { color: red }

NOTE a remark

intro
00:01.000 --> 00:02.500 align:start position:0%
<v Anna><i>Tom &amp; Jerry</i>
are <b>here</b>

01:00:00.000 --> 01:00:01.000
&gt;&gt; Next
"""
    assert said(read_track(track.encode(), "vtt")) == [
        (1.0, 2.5, ["Tom & Jerry", "are here"]),
        (3600.0, 3601.0, ["Next"]),
    ]


def test_word_times_are_kept() -> None:
    """A stamp is the time of the word that follows it."""
    track = b"WEBVTT\n\n00:00:01.000 --> 00:00:04.000\n"
    track += b"so<00:00:01.400><c> my</c><00:00:02.100><c> fellow</c>\n"
    (cue,) = read_track(track, "vtt")
    assert [(word.text, word.start_s) for word in cue.lines[0]] == [
        ("so", None),
        (" my", 1.4),
        (" fellow", 2.1),
    ]


def test_subrip_of_old_players() -> None:
    """Commas, CRLF, Latin-1, positions and numbers are read."""
    track = "1\r\n00:00:01,000 --> 00:00:02,000\r\n{\\an8}Über<br>alles\r\n\r\n"
    track += "2\r\n00:00:03,5 --> 00:00:04,25\r\n-Ja.\r\n"
    expected = [(1.0, 2.0, ["Überalles"]), (3.5, 4.25, ["-Ja."])]
    assert said(read_track(track.encode("cp1252"), "srt")) == expected
    assert said(read_track(track.encode("utf-16"), "srt")) == expected


@pytest.mark.parametrize(
    ("clock", "expected"),
    [("01:02:03,456", 3723.456), ("00:59:59.999", 3599.999), ("02:03.5", 123.5)],
)
def test_clocks_of_subrip_and_webvtt(clock: str, expected: float) -> None:
    """Hours may be missing; what follows the point is a fraction."""
    (cue,) = read_track(f"1\n{clock} --> 9:00:00,0\nHello.".encode(), "srt")
    assert (cue.start_s, cue.end_s) == (expected, 32_400.0)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system(end: str) -> None:
    """The last caption needs no end of its line."""
    rows = ["00:01.000 --> 00:02.000", "one", "two", "", "00:03.000 --> 00:04.000", "three"]
    assert said(read_track(end.join(rows).encode(), "vtt")) == [
        (1.0, 2.0, ["one", "two"]),
        (3.0, 4.0, ["three"]),
    ]


@pytest.mark.parametrize(
    "data",
    [
        "\ufeff00:01.000 --> 00:02.000\nÜber".encode("utf-16-be"),
        "\ufeff00:01.000 --> 00:02.000\nÜber".encode("utf-16-le"),
        "\ufeff00:01.000 --> 00:02.000\nÜber".encode(),
        "00:01.000 --> 00:02.000\nÜber".encode(),
        "00:01.000 --> 00:02.000\nÜber".encode("cp1252"),
    ],
)
def test_text_in_any_encoding_of_old_players(data: bytes) -> None:
    """UTF-16 of either order and UTF-8 by their marks, else UTF-8, else Windows' Latin letters."""
    assert said(read_track(data, "srt")) == [(1.0, 2.0, ["Über"])]


@pytest.mark.parametrize(
    "data",
    [
        "\ufeff00:01.000 --> 00:02.000\nso".encode("utf-16-le") + b"\n",
        b"00:01.000 --> 00:02.000\nso\x81",
    ],
)
def test_a_byte_that_is_no_letter_is_shown_as_such(data: bytes) -> None:
    """Half a letter of UTF-16, or one that Windows does not have: the rest is read."""
    assert said(read_track(data, "srt")) == [(1.0, 2.0, ["so\ufffd"])]


def test_json3_as_youtube_serves_it() -> None:
    """An event is a line; offsets count from it; empty and odd events say nothing."""
    events = [
        {"tStartMs": 0, "dDurationMs": 9000, "id": 1, "wpWinPosId": 1},
        {
            "tStartMs": 1000,
            "dDurationMs": 3000,
            "segs": [{"utf8": "so"}, {"utf8": " my", "tOffsetMs": 400}],
        },
        {"tStartMs": 2000, "aAppend": 1, "segs": [{"utf8": "\n"}]},
        {"tStartMs": 5000, "dDurationMs": 100, "segs": [{"utf8": "[Music]"}]},
        {"tStartMs": "x", "segs": [{"utf8": "no"}]},
        {"tStartMs": 6000, "segs": ["no", None, {"utf8": 1}]},
        7,
    ]
    cues = read_track(json.dumps({"wireMagic": "pb3", "events": events}).encode(), "json3")
    assert said(cues) == [(1.0, 4.0, ["so my"]), (2.0, 2.0, []), (5.0, 5.1, []), (6.0, 6.0, [])]
    assert [word.start_s for word in cues[0].lines[0]] == [None, 1.4]


def test_a_change_of_speakers_is_no_word() -> None:
    """Two arrows; a single one is text."""
    track = b"00:01.000 --> 00:02.000\n&gt;&gt;Xaver: no.\n&gt;&gt; Yes, 2 &gt;1\n"
    assert said(read_track(track, "vtt")) == [(1.0, 2.0, ["Xaver: no.", "Yes, 2 >1"])]


def test_japanese_is_cut_by_character() -> None:
    """Languages without spaces have a word a character, and no space before it."""
    (cue,) = read_track("WEBVTT\n\n00:01.000 --> 00:02.000\n日本 go\n".encode(), "vtt")
    assert [word.text for word in cue.lines[0]] == ["日", "本", " go"]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"events": 1}', b"\xff\xfe\x00"])
def test_what_is_no_json3_is_refused(data: bytes) -> None:
    """A ValueError, whatever the bytes are."""
    with pytest.raises(ValueError):
        read_track(data, "json3")


def test_hostile_tracks_take_no_time() -> None:
    """Brackets, tags, spaces and times without end are read in a second or two a megabyte."""
    head = b"WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n"
    started_at = time.monotonic()
    for piece in (b"<", b"(", b"[", b"  ", b"{\\", b"&amp", b"<00:00:01.000>", b"00:00:"):
        read_track(head + piece * (500_000 // len(piece)), "vtt")
    blanks = [{"utf8": "  "}] * 100_000
    for segments in ([*blanks, {"utf8": "x"}], [{"utf8": "x"}, *blanks]):
        event = {"tStartMs": 0, "segs": segments}
        read_track(json.dumps({"events": [event]}).encode(), "json3")
    assert time.monotonic() - started_at < 20 * patience()
    assert read_track(b" " * MAX_TRACK_BYTES, "vtt") == []
    with pytest.raises(ValueError, match="larger"):
        read_track(b" " * (MAX_TRACK_BYTES + 1), "vtt")


def test_words_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight megabytes of single letters would take a minute, several times."""
    monkeypatch.setattr(track_parsing, "MAX_TRACK_WORDS", 1_000)
    cue = "0:00.000 --> 0:01.000\n" + "a " * 100 + "\n\n"
    assert len(read_track(("WEBVTT\n\n" + cue * 10).encode(), "vtt")) == 10
    with pytest.raises(ValueError, match="more words"):
        read_track(("WEBVTT\n\n" + cue * 11).encode(), "vtt")


@pytest.mark.parametrize("time_ms", [b"9" * 400, b"1e308", b"NaN", b"-1e308"])
def test_a_time_beyond_all_clocks_is_no_time(time_ms: bytes) -> None:
    """Its event is left out; the others are read."""
    event = b'{"tStartMs":%b,"segs":[{"utf8":"a"}]}'
    track = b'{"events":[' + event % time_ms + b"," + event % b"1000" + b"]}"
    assert [cue.start_s for cue in read_track(track, "json3")] == [1.0]


def test_json_that_is_nested_too_deep_is_refused() -> None:
    """As any other file that is no captions."""
    with pytest.raises(ValueError, match="deep"):
        read_track(b"[" * 200_000, "json3")
