"""Speech intervals, and the regions of the audio to decode."""

from itertools import pairwise

import numpy as np
import pytest
from faster_whisper.audio import decode_audio
from hypothesis import given
from hypothesis import strategies as st

from resources.transcribe.speech_spans import SpeechActivity, detect_speech
from tests.resources.transcribe.test_hallucination_filter import FRAME_S, activity
from tests.support.paths import DATA
from ytcaption.domain.errors import AudioUndecodable

SILENT = [
    "silence-room.flac",
    "silence-digital-20s.flac",
    "noise.flac",
    "noise-white-20s.flac",
    "music-hungarian-dance.ogg",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", SILENT)
def test_silence_noise_and_music_contain_no_speech(name):
    """There is no span, so nothing is decoded."""
    assert detect_speech(decode_audio(str(DATA / name))).spans == ()


@pytest.mark.parametrize("gain", [1.0, 0.03, 0.003, 0.001])
@pytest.mark.long
def test_quiet_speech_is_detected(gain):
    """A recording at a thousandth of its level has as much speech as at full level."""
    samples = decode_audio(str(DATA / "jfk.flac"))
    quiet = np.round(samples * gain * 32_768).astype(np.int16).astype(np.float32) / 32_768
    detected = detect_speech(quiet)
    assert detected.speech_s == pytest.approx(detect_speech(samples).speech_s, abs=1.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fleurs-en-002.ogg", "fleurs-en-004.ogg", "fleurs-fr-000.ogg"])
def test_quiet_speaker_after_a_loud_one_is_detected(name):
    """The detector's adaptation to a loud speaker does not hide a quiet one after it."""
    loud = decode_audio(str(DATA / "jfk.flac"))
    quiet = decode_audio(str(DATA / name))
    second = np.zeros(16_000, np.float32)
    both = detect_speech(np.concatenate([loud, second, quiet, second, loud]))
    start_s, end_s = len(loud) / 16_000 + 1, (len(loud) + len(quiet)) / 16_000 + 1
    inside = [span for span in both.spans if start_s < span.start_s < end_s]
    detected_s = sum(span.duration_s for span in inside)
    assert detected_s > 0.8 * detect_speech(quiet).speech_s


@pytest.mark.slow
@pytest.mark.parametrize("name", SILENT)
def test_silence_noise_and_music_between_speech_contain_no_speech(name):
    """The second pass over quiet windows finds no speech in them."""
    loud, filling = decode_audio(str(DATA / "jfk.flac")), decode_audio(str(DATA / name))
    detected = detect_speech(np.concatenate([loud, filling, loud]))
    inside = detected.speech_share(
        len(loud) / 16_000 + 0.5, (len(loud) + len(filling)) / 16_000 - 0.5
    )
    assert inside < 0.02


@pytest.mark.long
def test_speech_is_detected_at_its_time():
    """A silence of 1.5 s before a known recording shifts every span by 1.5 s."""
    samples = decode_audio(str(DATA / "jfk.flac"))
    spans = detect_speech(samples).spans
    shifted = detect_speech(np.concatenate([np.zeros(24_000, np.float32), samples])).spans
    assert len(spans) >= 3
    for span, later in zip(spans, shifted, strict=True):
        assert later.start_s == pytest.approx(span.start_s + 1.5, abs=0.15)
        assert later.end_s == pytest.approx(span.end_s + 1.5, abs=0.6)


def test_detection_can_be_canceled_between_blocks():
    """The callback is called for every block."""

    class Canceled(Exception):
        pass

    def cancel() -> None:
        raise Canceled

    with pytest.raises(Canceled):
        detect_speech(np.zeros(16_000, np.float32), cancel)


def test_nan_samples_are_rejected():
    """NaN in a waveform is an error of the audio, not of the model."""
    with pytest.raises(AudioUndecodable):
        detect_speech(np.full(16_000, np.nan, np.float32))


def test_empty_waveform_contains_no_speech():
    """There is no span."""
    assert detect_speech(np.zeros(0, np.float32)).spans == ()


def test_short_silences_are_decoded_with_the_speech():
    """A clip is one region from its first to its last sample."""
    regions = activity((2, 5), (9, 12), duration_s=15).regions(max_gap_s=10, max_region_s=600)
    assert [(region.start_s, region.end_s) for region in regions] == [(0.0, 15)]


def test_silence_at_the_beginning_and_the_end_is_kept() -> None:
    """Three quiet seconds before the first word and after the last one stay; between, they do
    not."""
    regions = activity((3, 6), (12, 14), duration_s=17).regions(max_gap_s=2, max_region_s=600)
    edges = [(round(region.start_s), round(region.end_s)) for region in regions]
    assert edges == [(0, 7), (11, 17)]


def test_long_silences_are_left_out():
    """Of a minute of silence, five seconds on either side are decoded."""
    regions = activity((30, 35), (100, 110), duration_s=200).regions(max_gap_s=10, max_region_s=600)
    edges = [(round(region.start_s), round(region.end_s)) for region in regions]
    assert edges == [(25, 40), (95, 115)]


def test_speech_without_pauses_is_cut():
    """Spectrograms are made for a limited time, even of an hour without a pause."""
    endless = activity((0, 3_600), duration_s=3_600)
    regions = endless.regions(max_gap_s=10, max_region_s=600)
    assert max(region.duration_s for region in regions) <= 600
    assert sum(region.duration_s for region in regions) == pytest.approx(3_600)


@given(
    st.lists(st.tuples(st.floats(0, 400), st.floats(0, 300)), max_size=12),
    st.floats(1, 30),
    st.floats(130, 600),
)
def test_regions_contain_all_speech_in_order(spoken, max_gap_s, max_region_s):
    """No region overlaps another, none is too long, and every span is in one."""
    detected = activity(*((at, at + long) for at, long in spoken), duration_s=700)
    regions = detected.regions(max_gap_s=max_gap_s, max_region_s=max_region_s)
    assert all(before.end_s <= after.start_s for before, after in pairwise(regions))
    assert all(region.duration_s <= max_region_s + 2 * max_gap_s for region in regions)
    for span in detected.spans:
        assert any(
            region.start_s <= span.start_s and span.end_s <= region.end_s for region in regions
        )


def test_share_is_by_the_low_threshold():
    """An uncertain interval is no span, but it may be speech."""
    probabilities = np.full(int(10 / FRAME_S), 0.35, np.float32)
    doubtful = SpeechActivity(probabilities, 10.0)
    assert doubtful.spans == ()
    assert doubtful.speech_share(2, 4) == 1.0
    assert activity((0, 5), duration_s=10).speech_share(6, 8) == 0.0
