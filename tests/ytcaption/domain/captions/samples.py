"""Transcripts for the caption tests: real ones, and strategies for hostile ones."""

from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st

from tests.support.paths import DATA
from tests.support.transcripts import make_segment, make_transcript
from ytcaption.domain.captions.style import CaptionStyle
from ytcaption.domain.captions.units import clean_text, is_invisible
from ytcaption.domain.transcripts.transcript import Segment, Transcript, Word

TRANSCRIPTS = DATA / "transcripts"
REAL = sorted(path.stem for path in TRANSCRIPTS.glob("*.json"))


def at_most(examples: int) -> settings:
    """Settings with this many examples, or the fewer of the profile that is loaded."""
    profile = settings.default
    assert profile is not None
    return settings(max_examples=min(examples, profile.max_examples))


def real_transcript(name: str) -> Transcript:
    """The output of faster-whisper for a clip of tests/data."""
    return Transcript.from_json((TRANSCRIPTS / f"{name}.json").read_bytes())


def said(transcript: Transcript) -> str:
    """Every character of the words in their order that can be seen, as `shown`."""
    texts = (clean_text(word.text).strip() for word in transcript.words)
    return shown(text for text in texts if not is_invisible(text))


def shown(texts: Iterable[str]) -> str:
    """The texts without white space and joiners."""
    return "".join("".join(texts).split()).translate({0x200C: None, 0x200D: None})


_LETTERS = st.text("abcdefghijklmnopqrstuvwxyzÀéßñ", min_size=1, max_size=12)
_ENDS = st.sampled_from(["", "", "", "", ",", ".", "?", "!", ";", "…", ".”"])
plain_words = st.builds(lambda text, end: f" {text}{end}", _LETTERS, _ENDS)
cjk_words = st.builds(
    lambda text, end: text + end,
    st.text("客観的実在判断知識のがをはるでスパンー広州市", min_size=1, max_size=3),
    st.sampled_from(["", "", "", "、", "。", "」", "？"]),
)
hostile_words = st.one_of(
    plain_words,
    cjk_words,
    st.sampled_from(
        [
            " <b>", " </i>", " -->", " 00:00:01", " &amp;", " {\\i1}",
            " C:\\new\\home", " \\N", "\\", "{", "}", "1", "\u200d", " 1984", "\n",
            " \r\n\r\n", "\t", "", " ", "\u200b", "\ufeff", "\x00", "\u2028", "\ud800",
            " שלום,", " مرحبا", " \u202eabc\u202c", " 👩‍👩‍👧‍👦", "👍🏽", " e\u0301",
            "\u0301", "ไม่", "้", " !", " «", " »", "-known", " -", "「", "」", "。", "#",
            "*", "|", "=1+1", " " + "x" * 60, " http://example.org/" + "a" * 30,
            "語" * 40, " New York",
        ]
    ),
    st.text(max_size=8),
)  # fmt: skip

_SPANS = st.tuples(st.floats(0.0, 0.6), st.one_of(st.just(0.0), st.just(0.0), st.floats(0.0, 4.0)))
_ODD_TIMES = st.tuples(
    st.one_of(st.floats(-2, 30), st.sampled_from([0.0, 5.0, 5.0, 5.0, 1e5])), st.floats(-2, 31)
)


@st.composite
def transcripts(
    draw: st.DrawFn, words: st.SearchStrategy[str] = hostile_words, *, odd_times: bool = True
) -> Transcript:
    """Up to six segments of up to 25 words; odd times overlap, go back, or are all the same."""
    odd = odd_times and draw(st.booleans())
    clock = draw(st.sampled_from([0.0, 0.0, 108_000.0]))
    segments: list[Segment] = []
    for index in range(draw(st.integers(0, 6))):
        texts = draw(st.lists(words, min_size=1, max_size=25))
        timed: list[Word] = []
        for text in texts:
            if odd:
                start_s, end_s = draw(_ODD_TIMES)
            else:
                length_s, pause_s = draw(_SPANS)
                start_s, end_s = clock, clock + length_s
                clock = end_s + pause_s
            timed.append(Word(start_s, end_s, text, 0.5))
        segments.append(make_segment(timed, index))
    return make_transcript(*segments, language=draw(st.sampled_from(["en", "ja", "th", None])))


styles = st.one_of(
    st.sampled_from([CaptionStyle(), CaptionStyle.for_language("ja"), CaptionStyle("fr")]),
    st.builds(
        CaptionStyle,
        language=st.sampled_from(["en", "de", None]),
        line_length=st.integers(6, 60),
        max_lines=st.integers(1, 4),
        min_gap_ms=st.integers(0, 200),
        max_cps=st.floats(5, 30),
    ),
)
