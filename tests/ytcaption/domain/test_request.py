"""One id from media and options: safe as a path, never shared by accident."""

import math
import re
import unicodedata
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytcaption.domain.caption_choice import CaptionsWanted
from ytcaption.domain.errors import InvalidOption, UnknownLanguage, UnknownModel
from ytcaption.domain.languages import WHISPER_LANGUAGES
from ytcaption.domain.request import (
    MAX_KEY_LENGTH,
    MAX_MEDIA_ID_LENGTH,
    MAX_PROMPT_LENGTH,
    TranscriptionOptions,
    TranscriptionStatus,
    checked_options,
    is_media_id,
    is_partition_key,
    media_id,
    partition_key,
    short_hash,
)

pytestmark = pytest.mark.unit

MODELS = ("base", "tiny.en")
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.[a-z2-7]{26}")

prefixes = st.sampled_from(["youtube", "url", "upload", "vimeo", "BiliBili"])
native_ids = st.one_of(
    st.text(max_size=200),
    st.from_regex(r"[A-Za-z0-9_-]{1,120}", fullmatch=True),
    st.sampled_from(
        ["", ".", "..", "../../etc/passwd", "a/b", "a b", "\x00", "é", "dQw4w9WgXcQ", "a\n"]
    ),
)
media_ids = st.builds(media_id, prefixes, native_ids)
texts = st.one_of(st.none(), st.text(min_size=1, max_size=30))
options = st.builds(
    TranscriptionOptions,
    model=st.sampled_from(["base", "small", "large-v3"]),
    language=st.one_of(st.none(), st.sampled_from(sorted(WHISPER_LANGUAGES.values()))),
    task=st.sampled_from(["transcribe", "translate"]),
    initial_prompt=texts,
    hotwords=texts,
    temperature=st.one_of(st.none(), st.sampled_from([0.2, 0.5, 1.0])),
    captions=st.sampled_from([None, "prefer_any", "never", "only"]),
)


def canonical(value: TranscriptionOptions) -> dict[str, Any]:
    return value.to_dict()


@given(media_ids, options)
def test_a_key_is_safe_as_a_path_and_short(media: str, options_of: TranscriptionOptions):
    """One dot, no separator, first character a letter or digit, at most 120 characters."""
    key = partition_key(media, options_of)
    assert SAFE.fullmatch(key)
    assert len(key) <= MAX_KEY_LENGTH
    assert is_partition_key(key)
    assert key.startswith(f"{media}.")


@given(media_ids, options)
def test_the_same_request_gives_the_same_key(media: str, options_of: TranscriptionOptions):
    """Always: the id is a function of media and options."""
    assert partition_key(media, options_of) == partition_key(
        media, TranscriptionOptions(**options_of.__dict__)
    )


@given(media_ids, options, options)
def test_other_options_give_another_key(
    media: str, one: TranscriptionOptions, other: TranscriptionOptions
):
    """Keys are equal exactly where the stored options are."""
    same = canonical(one) == canonical(other)
    assert (partition_key(media, one) == partition_key(media, other)) == same


@given(native_ids, native_ids, prefixes)
def test_two_ids_of_a_site_are_two_media(one: str, other: str, prefix: str):
    """Also those that do not fit the alphabet and are hashed."""
    assert (media_id(prefix, one) == media_id(prefix, other)) == (one == other)


@given(prefixes, native_ids)
def test_media_ids_fit_the_alphabet(prefix: str, native_id: str):
    """This holds for any id that a site may use."""
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", media_id(prefix, native_id))
    assert len(media_id(prefix, native_id)) <= MAX_MEDIA_ID_LENGTH
    assert is_media_id(media_id(prefix, native_id))


def test_a_youtube_id_is_kept_as_it_is():
    """People find their video by it."""
    assert media_id("youtube", "dQw4w9WgXcQ") == "youtube-dQw4w9WgXcQ"


def test_keys_do_not_change_between_versions():
    """A stored id must be found by every later release."""
    assert partition_key("youtube-dQw4w9WgXcQ", TranscriptionOptions("base")) == (
        "youtube-dQw4w9WgXcQ.2kb4if2ddf5hjbjko4paelkavq"
    )
    every = TranscriptionOptions("base", "de", "translate", "Prompt", "Wörter", 0.25, "prefer_any")
    assert partition_key("youtube-dQw4w9WgXcQ", every) == (
        "youtube-dQw4w9WgXcQ.aoprvsu2rfhubcwrt3b6dk5gjy"
    )


def test_composed_and_decomposed_text_is_one_option():
    """Two keyboards that spell é differently ask for the same transcription."""
    composed, decomposed = (unicodedata.normalize(form, "José") for form in ("NFC", "NFD"))
    assert composed != decomposed
    one, other = (TranscriptionOptions("base", hotwords=text) for text in (composed, decomposed))
    assert partition_key("url-a", one) == partition_key("url-a", other)


@pytest.mark.parametrize(
    "media", ["", "-a", "a/b", "a.b", "..", "a" * (MAX_MEDIA_ID_LENGTH + 1), "a\n"]
)
def test_only_media_ids_get_a_key(media: str):
    """A key is never made of a string that is not an id."""
    assert not is_media_id(media)
    with pytest.raises(ValueError):
        partition_key(media, TranscriptionOptions("base"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "youtube-a",
        "youtube-a.short",
        "a/b." + "a" * 26,
        "a." + "A" * 26,
        "a." + "a" * 26 + "\n",
    ],
)
def test_what_is_no_key_is_recognised(text: str):
    """`is_partition_key` guards paths made of ids from outside."""
    assert not is_partition_key(text)


@given(st.binary(max_size=100))
def test_short_hashes_are_128_bits_of_base32(data: bytes):
    """They have 26 lower-case characters."""
    assert re.fullmatch(r"[a-z2-7]{26}", short_hash(data))


@pytest.mark.parametrize(
    ("language", "expected"),
    [("de", "de"), (" German ", "de"), ("GERMAN", "de"), ("auto", None), ("", None), (None, None)],
)
def test_languages_are_taken_by_code_or_name(language: str | None, expected: str | None):
    """In any case; `auto` and nothing are detected."""
    assert (
        checked_options(model="base", allowed_models=MODELS, language=language).language == expected
    )


def test_an_english_model_transcribes_english_only():
    """`.en` models fix the language and refuse any other, and translation."""
    for language in (None, "en", "English"):
        options_of = checked_options(model="tiny.en", allowed_models=MODELS, language=language)
        assert options_of.language == "en"
    for wrong in ({"language": "de"}, {"task": "translate"}):
        with pytest.raises(InvalidOption, match="English only"):
            checked_options(model="tiny.en", allowed_models=MODELS, **wrong)


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"model": "../huge"}, UnknownModel, "base, tiny.en"),
        ({"language": "klingon"}, UnknownLanguage, "klingon"),
        ({"task": "summarize"}, InvalidOption, "transcribe or translate"),
        (
            {"initial_prompt": "x" * (MAX_PROMPT_LENGTH + 1)},
            InvalidOption,
            "initial_prompt is longer",
        ),
        ({"hotwords": "x" * (MAX_PROMPT_LENGTH + 1)}, InvalidOption, "hotwords is longer"),
        ({"hotwords": "a\x00b"}, InvalidOption, "NUL"),
        ({"temperature": 1.01}, InvalidOption, "0 to 1"),
        ({"temperature": -0.1}, InvalidOption, "0 to 1"),
        ({"temperature": math.nan}, InvalidOption, "0 to 1"),
    ],
)
def test_options_that_cannot_be_carried_out_are_refused(
    wrong: dict[str, Any], error: type[Exception], says: str
):
    """Each with what would be accepted."""
    with pytest.raises(error, match=re.escape(says)):
        checked_options(**({"model": "base", "allowed_models": MODELS} | wrong))  # pyright: ignore


def test_what_is_requested_is_what_is_carried_out():
    """Every option reaches the decoder; a prompt may be as long as allowed."""
    requested = {
        "model": "base",
        "language": "de",
        "task": "translate",
        "initial_prompt": "x" * MAX_PROMPT_LENGTH,
        "hotwords": "Dagster",
        "temperature": 0.25,
        "captions": "prefer_any",
    }
    assert checked_options(allowed_models=MODELS, **requested).to_dict() == requested  # pyright: ignore


def test_blank_texts_are_no_options():
    """An empty prompt gives the id of no prompt."""
    blank = checked_options(model="base", allowed_models=MODELS, initial_prompt="", hotwords="")
    assert blank == TranscriptionOptions("base")


def test_captions_are_an_option_only_where_they_are_not_the_default():
    """`prefer` is what every request was before there was a choice: the same options and ids."""
    options_of = partial(checked_options, model="base", allowed_models=MODELS)
    plain = options_of()
    assert options_of(captions="prefer") == plain and plain.captions_wanted.policy == "prefer"
    assert "captions" not in plain.to_dict()
    never = options_of(captions="never", language="de")
    assert never.to_dict()["captions"] == "never"
    assert never.captions_wanted == CaptionsWanted("never", "de", "transcribe")
    policies = ("prefer", "prefer_any", "never", "only")
    assert len({partition_key("url-a", options_of(captions=policy)) for policy in policies}) == 4
    with pytest.raises(InvalidOption, match="Use prefer, prefer_any, never or only"):
        options_of(captions="always")
    with pytest.raises(InvalidOption, match="not translated"):
        options_of(captions="only", task="translate")


def test_temperature_is_an_option_only_where_it_changes_the_text():
    """None and 0 are the same decoding and the same id as ever; 1 and 1.0 are one option."""
    for same in (None, 0, 0.0, 0.0001):
        options = checked_options(model="base", allowed_models=MODELS, temperature=same)
        assert options.to_dict() == {"model": "base", "task": "transcribe"}
    whole, real = (
        checked_options(model="base", allowed_models=MODELS, temperature=value)
        for value in (1, 1.0)
    )
    assert partition_key("url-a", whole) == partition_key("url-a", real)
    assert partition_key("url-a", whole) != partition_key("url-a", TranscriptionOptions("base"))


def test_a_transcription_is_final_unless_queued_or_running():
    """Three of five states end it."""
    final = {status for status in TranscriptionStatus if status.is_final}
    assert final == {"completed", "failed", "canceled"}
