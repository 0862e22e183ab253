"""Speed and accuracy: held against jiwer."""

import random

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytcaption.domain.transcripts.metrics import WordErrors, rtf, wer

pytestmark = pytest.mark.unit

TEXTS = st.lists(st.sampled_from("a b c d e".split()), max_size=30).map(" ".join)  # noqa: SIM905


def test_rtf_is_processing_by_audio():
    """Half the time of the audio is 0.5; no audio costs nothing."""
    assert rtf(30.0, 60.0) == 0.5
    assert rtf(1.0, 0.0) == 0.0


@pytest.mark.parametrize("times", [(-1.0, 1.0), (1.0, -1.0)])
def test_rtf_refuses_negative_times(times: tuple[float, float]):
    """A clock that went back is an error, not a speed."""
    with pytest.raises(ValueError):
        rtf(*times)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("the cat sat", "the cat sat", WordErrors(3, 0, 0, 0)),
        ("the cat sat", "the dog sat", WordErrors(2, 1, 0, 0)),
        ("the cat sat", "cat sat", WordErrors(2, 0, 1, 0)),
        ("the cat sat", "the big cat sat", WordErrors(3, 0, 0, 1)),
        ("the cat sat", "", WordErrors(0, 0, 3, 0)),
        ("", "the cat", WordErrors(0, 0, 0, 2)),
        ("", "", WordErrors(0, 0, 0, 0)),
        ("a  b\nc", "a b c", WordErrors(3, 0, 0, 0)),
    ],
)
def test_wer_tells_the_kinds_of_errors_apart(reference: str, hypothesis: str, expected: WordErrors):
    """Substitutions, deletions and insertions, at the ends of a text and for empty texts."""
    assert wer(reference, hypothesis) == expected


@given(TEXTS, TEXTS)
def test_wer_is_jiwers(reference: str, hypothesis: str):
    """The same rate and error count; of equally short alignments, one with no fewer hits."""
    ours, theirs = wer(reference, hypothesis), jiwer.process_words(reference, hypothesis)
    assert ours.rate == pytest.approx(theirs.wer)
    assert ours.errors == theirs.substitutions + theirs.deletions + theirs.insertions
    assert ours.hits >= theirs.hits
    assert ours.reference_words == len(reference.split())
    assert ours.hits + ours.substitutions + ours.insertions == len(hypothesis.split())


def test_wer_of_an_hour_is_jiwers_and_takes_seconds():
    """Five thousand words with one error in ten need only a band of the table."""
    rng = random.Random(7)
    words = [str(rng.randrange(2000)) for _ in range(5000)]
    recognized = [word if rng.random() > 0.06 else "x" for word in words if rng.random() > 0.04]
    reference, hypothesis = " ".join(words), " ".join(recognized)
    assert wer(reference, hypothesis).rate == pytest.approx(jiwer.wer(reference, hypothesis))


def test_wer_finds_words_far_from_their_place():
    """A passage that was moved lies off the diagonal: the band widens until it holds it."""
    common = " ".join(f"word{index}" for index in range(100))
    early, late = "a " * 40 + common, common + " b" * 40
    assert wer(early, late) == WordErrors(100, 0, 40, 40)


def test_errors_of_several_texts_add_up():
    """The rate of a sum weighs texts by their words, as jiwer's over a list."""
    pairs = [("a b c d", "a b c"), ("e", "f")]
    total = wer(*pairs[0]) + wer(*pairs[1])
    assert total.rate == jiwer.wer([one for one, _ in pairs], [two for _, two in pairs]) == 0.4
