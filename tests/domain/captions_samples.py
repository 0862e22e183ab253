"""Transcripts for the caption tests: real ones, made ones, and strategies for hostile ones."""

from collections.abc import Iterable
from pathlib import Path

from hypothesis import strategies as st

from ytcaption_assets.domain.caption_style import CaptionStyle
from ytcaption_assets.domain.caption_units import clean_text, is_invisible
from ytcaption_assets.domain.transcript import Provenance, Segment, Transcript, Word

TRANSCRIPTS = Path(__file__).parents[1] / "data" / "transcripts"
REAL = sorted(path.stem for path in TRANSCRIPTS.glob("*.json"))


def real_transcript(name: str) -> Transcript:
    """What faster-whisper heard in a clip of tests/data."""
    return Transcript.from_json((TRANSCRIPTS / f"{name}.json").read_bytes())


def make_segment(words: Iterable[Word], index: int = 0, text: str | None = None) -> Segment:
    words = tuple(words)
    return Segment(
        index=index,
        start_s=words[0].start_s if words else 0.0,
        end_s=words[-1].end_s if words else 1.0,
        text="".join(word.text for word in words).strip() if text is None else text,
        words=words,
        avg_logprob=-0.2,
        no_speech_prob=0.01,
        compression_ratio=1.3,
        temperature=0.0,
    )


def make_transcript(*segments: Segment, language: str | None = "en") -> Transcript:
    return Transcript(
        id="upload-abc." + "a" * 26,
        media_id="upload-abc",
        task="transcribe",
        language=language,
        language_probability=1.0,
        duration_s=max((segment.end_s for segment in segments), default=0.0),
        speech_s=0.0,
        segments=segments,
        dropped=(),
        provenance=Provenance(
            source="asr",
            engine="faster-whisper",
            engine_version="1.2.1",
            model="base",
            model_revision="0" * 64,
            device="cpu",
            compute_type="int8",
            options={"model": "base"},
            audio_sha256="0" * 64,
            run_id="run",
            created_at="2026-11-24T00:00:00Z",
        ),
    )


def spoken(
    text: str, *, start_s: float = 0.0, word_s: float = 0.3, pauses: dict[str, float] | None = None
) -> Segment:
    """A segment of words of equal length, with a pause of seconds after words named in `pauses`."""
    words: list[Word] = []
    for token in text.split():
        words.append(Word(start_s, start_s + word_s, f" {token}", 0.9))
        start_s += word_s + (pauses or {}).get(token, 0.0)
    return make_segment(words)


def spoken_tokens(*tokens: str, start_s: float = 0.0, word_s: float = 0.2) -> Segment:
    """A segment of words given as the decoder writes them, with their spaces or without."""
    return make_segment(
        Word(start_s + index * word_s, start_s + (index + 1) * word_s, token, 0.9)
        for index, token in enumerate(tokens)
    )


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
