"""The sequential engine with real weights: words with times, no hallucinations, no lost speech."""

import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.common import clips, total
from resources.transcribe import device, hallucination_filter, sequential_decoder
from resources.transcribe.device import loaded_model
from resources.transcribe.transcriber import EngineInfo
from resources.transcribe.whisper_transcriber import WhisperTranscriber
from tests.support.clip_errors import DATA, TINY_EN, samples, text
from ytcaption.domain.errors import SetupError
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.accuracy import word_errors
from ytcaption.domain.transcripts.transcript import Recognition

pytestmark = pytest.mark.model

SILENT = [
    "silence-room.flac",
    "silence-digital-20s.flac",
    "noise.flac",
    "noise-white-20s.flac",
    "music-hungarian-dance.ogg",
]


@pytest.fixture(scope="module")
def transcriber(model_home: Path) -> WhisperTranscriber:
    return WhisperTranscriber(models_home=str(model_home), engine="sequential", cpu_threads=2)


@pytest.fixture(scope="module")
def jfk(transcriber: WhisperTranscriber) -> Recognition:
    return transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None)


@pytest.mark.slow
def test_sample_is_transcribed(jfk):
    """The text has no error, the language is English, and the speech has the right length."""
    reference = (
        "And so my fellow Americans ask not what your country can do for you ask what you can do "
        "for your country"
    )
    assert word_errors("en", reference, text(jfk)).rate == 0.0
    assert (jfk.language, jfk.language_probability, jfk.duration_s) == ("en", 1.0, 11.0)
    assert 6.5 < jfk.speech_s < 10
    assert not jfk.dropped
    assert set(jfk.timings_s) == {"vad", "load", "model"}


def test_every_word_has_its_time(jfk):
    """Words are in order, within the audio, and both times of 'country' are right."""
    words = [word for segment in jfk.segments for word in segment.words]
    assert all(before.end_s <= after.start_s for before, after in pairwise(words))
    assert all(0 <= word.start_s <= word.end_s <= 11.0 for word in words)
    assert all(0 <= word.probability <= 1 for word in words)
    for segment in jfk.segments:
        assert segment.text == "".join(word.text for word in segment.words).strip()
        assert segment.avg_logprob < 0
        assert 0 <= segment.no_speech_prob <= 1
        assert segment.compression_ratio > 0
    country = [word for word in words if "country" in word.text]
    assert [round(word.start_s) for word in country] == [6, 10]


@pytest.mark.parametrize("name", SILENT)
def test_silence_noise_and_music_give_no_text(transcriber, name):
    """A file without speech completes at once with an empty transcript."""
    result = transcriber.transcribe(samples(name), TINY_EN, lambda *_: None)
    assert (result.segments, result.dropped, result.language) == ((), (), None)
    assert result.speech_s == 0.0
    assert result.duration_s > 4


@pytest.mark.long
def test_quiet_speech_is_not_lost(transcriber):
    """A recording at a three-hundredth of its level is transcribed."""
    quiet = np.round(samples("jfk.flac") * 0.003 * 32_768).astype(np.float32) / 32_768
    result = transcriber.transcribe(quiet, TINY_EN, lambda *_: None)
    assert "country" in text(result)
    assert len(text(result).split()) > 15


@pytest.mark.long
def test_no_hallucinations_between_speech(transcriber):
    """With silence, noise and music between two speakers only their speech is transcribed."""
    first, second = samples("jfk.flac"), samples("librispeech-237-134500-0006.flac")
    filling = [
        np.zeros(16_000 * 6, np.float32),
        samples("noise-white-20s.flac")[: 16_000 * 6],
        samples("music-hungarian-dance.ogg")[: 16_000 * 12],
        samples("noise.flac"),
    ]
    waveform = np.concatenate([first, *filling, second])
    second_at_s = (len(waveform) - len(second)) / 16_000
    result = transcriber.transcribe(waveform, TINY_EN, lambda *_: None)
    for segment in result.segments:
        assert segment.start_s < 11.5 or segment.start_s > second_at_s - 0.7, segment.text
    texts = {
        part: " ".join(each.text for each in result.segments if (each.start_s > 20) == later)
        for part, later in (("first", False), ("second", True))
    }
    assert word_errors("en", clip("jfk.flac").reference, texts["first"]).rate < 0.1
    assert (
        word_errors("en", clip("librispeech-237-134500-0006.flac").reference, texts["second"]).rate
        < 0.35
    )


@pytest.mark.slow
def test_quiet_speaker_after_a_pause_is_transcribed(transcriber):
    """A speaker 40 dB below the one before, three seconds later, loses no word."""
    loud, quiet = samples("jfk.flac"), samples("fleurs-en-004.ogg")
    waveform = np.concatenate([loud, np.zeros(48_000, np.float32), quiet])
    result = transcriber.transcribe(waveform, TINY_EN, lambda *_: None)
    later = " ".join(each.text for each in result.segments if each.start_s > 12)
    assert word_errors("en", clip("fleurs-en-004.ogg").reference, later).rate < 0.3


def clip(name: str):
    return next(each for each in clips(DATA) if each.path.name == name)


@pytest.mark.slow
def test_words_are_no_worse_than_plain_faster_whisper(transcriber):
    """On English clips the error rate is at most half a point above the plain one."""
    files, placement = transcriber.prepare_model("tiny.en")
    plain = loaded_model(files.directory, files.revision, placement)
    names = ("fleurs-en-002.ogg", "ljspeech-LJ001-0028.flac", "weather-mulaw-8k.wav")
    ours, theirs = [], []
    for each in map(clip, names):
        waveform = samples(each.path.name)
        segments, _ = plain.transcribe(waveform, beam_size=5)
        theirs.append(word_errors("en", each.reference, "".join(s.text for s in segments)))
        result = transcriber.transcribe(waveform, TINY_EN, lambda *_: None)
        ours.append(word_errors("en", each.reference, text(result)))
    assert total(ours).rate <= total(theirs).rate + 0.005


@pytest.mark.long
def test_progress_is_correct(transcriber):
    """Seconds of audio that are done never decrease, and are all of them at the end."""
    seen: list[tuple[float, float]] = []
    speech = samples("jfk.flac")
    waveform = np.concatenate([speech, np.zeros(48_000, np.float32), speech])
    transcriber.transcribe(waveform, TINY_EN, lambda *each: seen.append(each))
    done = [each for each, _ in seen]
    assert done == sorted(done)
    assert {of for _, of in seen} == {25.0}
    assert seen[-1] == (25.0, 25.0)
    assert any(12 < each < 25 for each in done)


@pytest.mark.slow
def test_dropped_segments_are_listed_and_leave_no_gap(transcriber, monkeypatch):
    """A dropped segment is in the result with its reason; the others are numbered from 0."""
    real = hallucination_filter._drop_reason
    monkeypatch.setattr(
        hallucination_filter,
        "_drop_reason",
        lambda segment, activity: "loop" if segment.start_s < 11 else real(segment, activity),
    )
    speech = samples("jfk.flac")
    waveform = np.concatenate([speech, np.zeros(48_000, np.float32), speech])
    result = transcriber.transcribe(waveform, TINY_EN, lambda *_: None)
    assert {drop.reason for drop in result.dropped} == {"loop"}
    assert result.segments[0].start_s > 11
    assert [segment.index for segment in result.segments] == list(range(len(result.segments)))


@pytest.mark.slow
def test_segments_are_reported_during_decoding(transcriber, monkeypatch):
    """All of the result's, in order, and those of a region before the next one is decoded."""
    monkeypatch.setattr(sequential_decoder, "_MAX_REGION_S", 14.0)
    reports: list[tuple[str, object]] = []
    waveform = np.concatenate([samples("jfk.flac"), samples("ljspeech-LJ001-0028.flac")])
    result = transcriber.transcribe(
        waveform,
        TINY_EN,
        lambda done_s, _: reports.append(("progress", done_s)),
        lambda segment: reports.append(("segment", segment)),
    )
    assert tuple(value for kind, value in reports if kind == "segment") == result.segments
    first = next(at for at, (kind, _) in enumerate(reports) if kind == "segment")
    assert any(kind == "progress" and 0 < value < 20 for kind, value in reports[first:])


@pytest.mark.long
def test_progress_callback_can_cancel(transcriber):
    """An exception of the callback ends the work once there is text."""

    class Canceled(Exception):
        pass

    def cancel(done_s: float, _total_s: float) -> None:
        if done_s > 0:
            raise Canceled

    with pytest.raises(Canceled):
        transcriber.transcribe(samples("jfk.flac"), TINY_EN, cancel)


@pytest.mark.slow
def test_long_audio_is_decoded_in_regions(transcriber, monkeypatch):
    """Cut at a pause into regions, the text and the times stay correct."""
    monkeypatch.setattr(sequential_decoder, "_MAX_REGION_S", 14.0)
    second = samples("ljspeech-LJ001-0028.flac")
    waveform = np.concatenate([samples("jfk.flac"), second])
    result = transcriber.transcribe(waveform, TINY_EN, lambda *_: None)
    reference = f"{clip('jfk.flac').reference} {clip('ljspeech-LJ001-0028.flac').reference}"
    assert word_errors("en", reference, text(result)).rate < 0.1
    later = [segment for segment in result.segments if "Strasburg" in segment.text]
    assert all(segment.start_s > 10 for segment in later)
    assert [segment.index for segment in result.segments] == list(range(len(result.segments)))


@pytest.mark.slow
def test_hints_reach_the_decoder(transcriber, monkeypatch):
    """`initial_prompt`, `hotwords`, the task and the first temperature are passed on."""
    files, placement = transcriber.prepare_model("tiny.en")
    model = loaded_model(files.directory, files.revision, placement)
    calls: list[dict] = []
    real = model.transcribe

    def transcribe(waveform: np.ndarray, **options):
        calls.append(options)
        return real(waveform, **options)

    monkeypatch.setattr(model, "transcribe", transcribe)
    options = TranscriptionOptions(
        model="tiny.en",
        language="en",
        initial_prompt="A speech.",
        hotwords="Kennedy",
        temperature=0.5,
    )
    transcriber.transcribe(samples("jfk.flac"), options, lambda *_: None)
    assert calls[0]["initial_prompt"] == "A speech."
    assert calls[0]["hotwords"] == "Kennedy"
    assert calls[0]["task"] == "transcribe"
    assert calls[0]["temperature"] == (0.5, 0.7, 0.9)
    transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None)
    assert calls[-1]["temperature"] == (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # faster-whisper's own


def test_engine_is_described(transcriber):
    """Provenance names engine, version, weights, device and number format."""
    import faster_whisper

    assert transcriber.describe("tiny.en") == EngineInfo(
        engine="faster-whisper",
        engine_version=faster_whisper.__version__,
        model="tiny.en",
        model_revision="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        device="cpu",
        compute_type="int8",
    )


def test_unsupported_number_format_is_reported(model_home):
    """A setting that this CPU does not support is an error in one sentence, before any work."""
    wrong = WhisperTranscriber(
        models_home=str(model_home), engine="sequential", compute_type="bfloat16", device="cpu"
    )
    with pytest.raises(SetupError, match="YTCAPTION_COMPUTE_TYPE"):
        wrong.transcribe(samples("weather-mulaw-8k.wav"), TINY_EN, lambda *_: None)


@pytest.mark.slow
def test_two_threads_share_one_model(transcriber, monkeypatch):
    """Two transcriptions at the same time load it once and give the same text."""
    monkeypatch.setattr(device, "_models", device.OrderedDict())
    loads: list[Path] = []
    real = device._load
    monkeypatch.setattr(
        device,
        "_load",
        lambda directory, placement: loads.append(directory) or real(directory, placement),
    )
    waveform, texts = samples("weather-mulaw-8k.wav"), []
    threads = [
        threading.Thread(
            target=lambda: texts.append(
                text(transcriber.transcribe(waveform, TINY_EN, lambda *_: None))
            )
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert len(texts) == 2
    assert texts[0] == texts[1]


@pytest.fixture(scope="module")
def multilingual(base_model_home: Path) -> WhisperTranscriber:
    return WhisperTranscriber(models_home=str(base_model_home), engine="sequential", cpu_threads=2)


@pytest.mark.long
def test_language_is_detected_in_speech(multilingual):
    """Half a minute of music at the beginning does not hide that German is spoken."""
    waveform = np.concatenate(
        [samples("music-hungarian-dance.ogg")[: 16_000 * 31], samples("fleurs-de-003.ogg")]
    )
    result = multilingual.transcribe(waveform, TranscriptionOptions(model="base"), lambda *_: None)
    assert result.language == "de"
    assert result.language_probability > 0.7
    assert all(segment.start_s > 30 for segment in result.segments)
    assert word_errors("de", clip("fleurs-de-003.ogg").reference, text(result)).rate < 0.3


@pytest.mark.slow
def test_translation_gives_english(multilingual):
    """A German sentence is transcribed in English words; its language is still German."""
    options = TranscriptionOptions(model="base", task="translate")
    result = multilingual.transcribe(samples("fleurs-de-003.ogg"), options, lambda *_: None)
    assert result.language == "de"
    english = set(text(result).lower().split())
    assert len(english & {"the", "of", "and", "in", "to", "is", "a", "was", "that"}) >= 3
