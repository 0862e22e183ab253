"""The transcript document: what is written is what is read."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.transcripts import make_transcript, spoken
from tests.ytcaption.domain.captions.samples import REAL, real_transcript
from ytcaption.domain.transcripts.transcript import (
    SCHEMA_VERSION,
    DroppedSegment,
    Provenance,
    Segment,
    Transcript,
    Word,
)

pytestmark = pytest.mark.unit

seconds = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
words = st.builds(Word, seconds, seconds, texts, seconds)
any_transcripts = st.builds(
    Transcript,
    id=texts,
    media_id=texts,
    task=st.sampled_from(["transcribe", "translate"]),
    language=st.one_of(st.none(), texts),
    language_probability=seconds,
    duration_s=seconds,
    speech_s=seconds,
    segments=st.lists(
        st.builds(
            Segment,
            index=st.integers(),
            start_s=seconds,
            end_s=seconds,
            text=texts,
            words=st.lists(words, max_size=4).map(tuple),
            avg_logprob=seconds,
            no_speech_prob=seconds,
            compression_ratio=seconds,
            temperature=seconds,
        ),
        max_size=3,
    ).map(tuple),
    dropped=st.lists(
        st.builds(DroppedSegment, seconds, seconds, texts, st.just("loop")), max_size=2
    ).map(tuple),
    provenance=st.builds(
        Provenance,
        source=st.sampled_from(["asr", "manual_captions", "automatic_captions"]),
        options=st.dictionaries(texts, texts, max_size=3),
        **dict.fromkeys(
            ("engine", "engine_version", "model", "model_revision", "device", "compute_type",
             "audio_sha256", "run_id", "created_at"), texts
        ),
    ),
)  # fmt: skip


@given(any_transcripts)
@settings(max_examples=80, deadline=None)
def test_json_gives_the_same_transcript_back(transcript: Transcript):
    """Every field, to the last bit of its floats; and the same bytes again."""
    data = transcript.to_json()
    assert Transcript.from_json(data) == transcript
    assert Transcript.from_json(data).to_json() == data


@pytest.mark.parametrize("name", REAL)
def test_real_documents_are_read_and_written_alike(name: str):
    """Stored documents are stable bytes: their SHA-256 is in the database."""
    transcript = real_transcript(name)
    assert Transcript.from_json(transcript.to_json()) == transcript
    assert "".join(word.text for word in transcript.segments[0].words).strip() == (
        transcript.segments[0].text
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"null", b"{}", b'{"schema_version": 0}', b'{"schema_version": 2}', b"\xff"],
)
def test_what_is_no_document_is_refused(data: bytes):
    """Another schema version, other JSON and other text are refused."""
    with pytest.raises(ValueError):
        Transcript.from_json(data)


def test_documents_name_their_schema_version():
    """So that a later reader knows what it reads."""
    assert json.loads(make_transcript().to_json())["schema_version"] == SCHEMA_VERSION == 1


def test_text_and_words_run_over_all_segments():
    """A segment a line; words in order."""
    transcript = make_transcript(spoken("One two."), spoken("Three.", start_s=5))
    assert transcript.text == "One two.\nThree."
    assert [word.text for word in transcript.words] == [" One", " two.", " Three."]


@pytest.mark.parametrize(
    ("task", "language", "expected"),
    [("transcribe", "de", "de"), ("translate", "de", "en"), ("translate", None, None)],
)
def test_a_translation_is_written_in_english(task: str, language: str | None, expected: str | None):
    """The text of a translation is English, unless nothing was said."""
    transcript = dataclasses.replace(make_transcript(language=language), task=task)
    assert transcript.text_language == expected
