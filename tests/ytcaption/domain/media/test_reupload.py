"""Other audio under the same id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytcaption.domain.media.reupload import AudioFacts, changed

pytestmark = pytest.mark.unit

A, B = "a" * 64, "b" * 64
FACTS = st.builds(
    AudioFacts,
    st.none() | st.floats(0, 1e6),
    st.none() | st.integers(0, 10**10),
    st.none() | st.sampled_from([A, B]),
)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (AudioFacts(120.0), AudioFacts(121.9)),  # rounded
        (AudioFacts(3600.0), AudioFacts(3630.0)),  # within a hundredth
        (AudioFacts(), AudioFacts(120.0)),
        (AudioFacts(120.0), AudioFacts(None, 1_000)),
        (AudioFacts(0.0), AudioFacts(300.0)),  # a listing that says nothing says 0
        (AudioFacts(120.0, 1_000), AudioFacts(120.0, 9_000)),  # another bit rate
        (AudioFacts(None, 1_000_000), AudioFacts(None, 1_010_000)),  # a picture in its tags
        (AudioFacts(120.0, sha256=A), AudioFacts(500.0, sha256=A)),  # the same bytes
    ],
)
def test_the_same_recording_is_left_alone(before: AudioFacts, now: AudioFacts):
    """Rounding, conversion and what nobody knows are no re-upload."""
    assert changed(before, now) is None


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (AudioFacts(120.0), AudioFacts(123.0), "The length has changed: 120.0 s, now 123.0 s."),
        (AudioFacts(3600.0), AudioFacts(3500.0), "3,600.0 s, now 3,500.0 s"),
        (AudioFacts(None, 1_000), AudioFacts(None, 1_500), "1,000 bytes, now 1,500"),
        (AudioFacts(120.0, sha256=A), AudioFacts(120.0, sha256=B), "The file has changed"),
        (AudioFacts(sha256=A), AudioFacts(sha256=B), "The file has changed."),
    ],
)
def test_another_recording_is_described(before: AudioFacts, now: AudioFacts, said: str):
    """With what it was and what it is."""
    assert said in (changed(before, now) or "")


@given(before=FACTS, now=FACTS)
def test_nothing_differs_from_itself(before: AudioFacts, now: AudioFacts):
    """Nor from one of which nothing is known."""
    assert changed(before, before) is None
    assert changed(before, AudioFacts()) is None
    assert changed(AudioFacts(), now) is None
