"""The batched engine with real weights: as accurate as the sequential one, for several callers."""

import threading
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.common import clips, total
from resources.transcribe import batched_decoder, device, speech_windows
from resources.transcribe.batch_engine import batch_engine_of, batch_shape
from resources.transcribe.batched_decoder import BatchedDecoder
from resources.transcribe.device import Placement, loaded_model
from resources.transcribe.sequential_decoder import SequentialDecoder
from resources.transcribe.whisper_transcriber import WhisperTranscriber
from resources.transcribe.window_decoder import WindowDecoder
from resources.transcribe.window_job import WindowJob
from resources.worker.transcriber import WorkerTranscriber, transcriber_of
from tests.support.clip_errors import DATA, TINY_EN, samples, text
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.accuracy import word_errors
from ytcaption.domain.transcripts.transcript import Recognition
from ytcaption.settings.settings import Settings

pytestmark = pytest.mark.model

BASE = TranscriptionOptions(model="base")
SILENT = [
    "silence-room.flac",
    "silence-digital-20s.flac",
    "noise.flac",
    "music-hungarian-dance.ogg",
]


def clip(name: str):
    return next(each for each in clips(DATA) if each.path.name == name)


def words(recognition: Recognition):
    return [word for segment in recognition.segments for word in segment.words]


@pytest.fixture(scope="module")
def transcriber(model_home: Path) -> WhisperTranscriber:
    return WhisperTranscriber(models_home=str(model_home), engine="batched", cpu_threads=2)


@pytest.fixture(scope="module")
def reference(model_home: Path) -> WhisperTranscriber:
    return WhisperTranscriber(models_home=str(model_home), engine="sequential", cpu_threads=2)


@pytest.fixture(scope="module")
def jfk(transcriber: WhisperTranscriber) -> Recognition:
    return transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None)


@pytest.fixture
def groups(monkeypatch) -> list[list[WindowJob]]:
    """Record the groups that are decoded from here on."""
    groups: list[list[WindowJob]] = []
    real = WindowDecoder._generate

    def generate(self, jobs, encoded):
        groups.append(list(jobs))
        return real(self, jobs, encoded)

    monkeypatch.setattr(WindowDecoder, "_generate", generate)
    return groups


@pytest.mark.long
def test_sample_is_transcribed(jfk):
    """The text has no error; segments have words, scores and times."""
    assert word_errors("en", clip("jfk.flac").reference, text(jfk)).rate == 0.0
    assert (jfk.language, jfk.language_probability, jfk.duration_s) == ("en", 1.0, 11.0)
    assert set(jfk.timings_s) == {"vad", "load", "model"}
    for segment in jfk.segments:
        assert segment.text == "".join(word.text for word in segment.words).strip()
        assert -1 < segment.avg_logprob < 0
        assert 0 <= segment.no_speech_prob <= 1
        assert segment.compression_ratio > 0
        assert segment.temperature == 0.0
    assert all(before.end_s <= after.start_s for before, after in pairwise(words(jfk)))
    assert all(0 <= word.probability <= 1 for word in words(jfk))


@pytest.mark.slow
def test_word_times_match_the_reference(jfk, reference):
    """The median difference of starts and ends is at most 50 ms."""
    theirs = words(reference.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None))
    ours = words(jfk)
    assert [each.text.lower().strip(" ,.;") for each in ours] == [
        each.text.lower().strip(" ,.;") for each in theirs
    ]
    offsets = [abs(a.start_s - b.start_s) for a, b in zip(ours, theirs, strict=True)]
    offsets += [abs(a.end_s - b.end_s) for a, b in zip(ours, theirs, strict=True)]
    assert median(offsets) <= 0.05


@pytest.mark.parametrize("name", SILENT)
@pytest.mark.long
def test_silence_noise_and_music_give_no_text(transcriber, name):
    """A file without speech has an empty transcript."""
    result = transcriber.transcribe(samples(name), TINY_EN, lambda *_: None)
    assert (result.segments, result.dropped, result.language) == ((), (), None)


def long_recording() -> tuple[np.ndarray, str]:
    """Return three minutes: every English clip at its own level, with pauses from 0.3 to 4 s."""
    english = [each for each in clips(DATA) if each.language == "en" and each.reference]
    pieces = []
    for at, each in enumerate(english):
        pieces += [
            samples(each.path.name),
            np.zeros(int((0.3 + at % 4 * 1.2) * 16_000), np.float32),
        ]
    return np.concatenate(pieces), " ".join(each.reference for each in english)


@pytest.mark.slow
def test_no_word_of_a_long_recording_is_lost(transcriber, reference):
    """Recordings joined with pauses give no more errors than the reference engine; segments are
    reported during decoding, in order, with correct times."""
    waveform, spoken = long_recording()
    reported, progress = [], []
    result = transcriber.transcribe(
        waveform, TINY_EN, lambda done, _all: progress.append(done), reported.append
    )
    theirs = reference.transcribe(waveform, TINY_EN, lambda *_: None)
    ours = word_errors("en", spoken, text(result))
    assert ours.rate <= word_errors("en", spoken, text(theirs)).rate + 0.01
    assert tuple(reported) == result.segments
    assert progress == sorted(progress)
    assert progress[-1] == result.duration_s
    assert any(0.2 < done / result.duration_s < 0.9 for done in progress)
    assert all(before.end_s <= after.start_s for before, after in pairwise(words(result)))
    assert [each.index for each in result.segments] == list(range(len(result.segments)))


@pytest.mark.slow
def test_callers_share_batches(transcriber, groups):
    """Threads with a clip each get about the same text as alone, in fewer groups than clips."""
    short = [each for each in clips(DATA) if each.language == "en" and each.duration_s < 12]
    alone = [
        transcriber.transcribe(samples(each.path.name), TINY_EN, lambda *_: None) for each in short
    ]
    count = len(groups)
    texts: dict[str, Recognition] = {}

    def transcribe(each) -> None:
        texts[each.path.name] = transcriber.transcribe(
            samples(each.path.name), TINY_EN, lambda *_: None
        )

    groups.clear()
    threads = [threading.Thread(target=transcribe, args=(each,)) for each in short]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(groups) < count
    assert any(len({id(job.finished) for job in group}) > 1 for group in groups)
    shared = total(word_errors("en", e.reference, text(texts[e.path.name])) for e in short)
    lone = total(word_errors("en", e.reference, text(a)) for e, a in zip(short, alone, strict=True))
    # A batch rounds differently: some words of 134 change. Another clip's text would change all.
    assert shared.rate <= lone.rate + 0.06


@pytest.mark.long
def test_only_the_speech_is_encoded(transcriber, groups):
    """A window is the speech and about a second of silence, not the 30 s Whisper was made for."""
    transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None)
    [[job]] = groups
    assert job.next_frames == 3000  # that a second try would have had
    assert job.duration_s <= 11.0
    assert job.frames <= 1500


@pytest.mark.long
def test_doubtful_window_is_decoded_again_in_full(transcriber, groups, monkeypatch):
    """A text that repeats everything five times is replaced by that of the full window."""
    repeat_text(monkeypatch, 5)
    result = transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None)
    assert word_errors("en", clip("jfk.flac").reference, text(result)).rate == 0.0
    assert len(groups) == 2  # the second one has a full window
    assert len(groups[1][0].tries) == 2


@pytest.mark.long
def test_text_that_the_decoder_repeats_is_kept_once(transcriber, groups, monkeypatch):
    """A window written twice is not tried again."""
    repeat_text(monkeypatch, 2)
    result = transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None)
    assert word_errors("en", clip("jfk.flac").reference, text(result)).rate == 0.0
    assert [len(group[0].tries) for group in groups] == [1]


@pytest.mark.long
def test_text_that_the_speaker_repeats_is_kept_twice(transcriber, groups, monkeypatch):
    """In one window, the second time is decoded by itself, since speech follows the first."""
    monkeypatch.setattr(speech_windows, "_MIN_PAUSE_S", 10.0)
    once = samples("fleurs-en-004.ogg")
    waveform = np.concatenate([once, once])
    result = transcriber.transcribe(waveform, TINY_EN, lambda *_: None)
    assert len(groups) == 2
    assert [len(each) for each in groups] == [1, 1]
    reference = clip("fleurs-en-004.ogg").reference
    assert word_errors("en", f"{reference} {reference}", text(result)).rate < 0.2


def repeat_text(monkeypatch, times: int) -> None:
    """Make the first try of each window write its text `times` times."""
    real = WindowDecoder._result

    def repeated(self, job, result, cap):
        if not job.tries:
            result = with_tokens(result, result.sequences_ids[0] * times)
        return real(self, job, result, cap)

    monkeypatch.setattr(WindowDecoder, "_result", repeated)


def with_tokens(result, tokens: list[int]) -> SimpleNamespace:
    """Return the decoder's result with other tokens."""
    return SimpleNamespace(
        sequences_ids=[tokens], scores=result.scores, no_speech_prob=result.no_speech_prob
    )


@pytest.mark.long
def test_speech_after_an_early_end_is_transcribed(transcriber, monkeypatch):
    """If the decoder stops after the first words, decoding continues where they end."""
    real = WindowDecoder._result
    stopped = []

    def stop_early(self, job, result, cap):
        if stopped:
            return real(self, job, result, cap)
        stopped.append(result)
        ids = result.sequences_ids[0]
        return real(self, job, with_tokens(result, ids[: len(ids) // 3]), cap)

    monkeypatch.setattr(WindowDecoder, "_result", stop_early)
    result = transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None)
    assert word_errors("en", clip("jfk.flac").reference, text(result)).rate < 0.2
    assert "do for your country" in text(result)


@pytest.mark.long
def test_hints_reach_the_decoder(transcriber, groups):
    """`initial_prompt` and `hotwords` are in the prompt, the ladder begins at `temperature`."""
    options = TranscriptionOptions(
        model="tiny.en",
        language="en",
        initial_prompt="A speech.",
        hotwords="Kennedy",
        temperature=0.5,
    )
    transcriber.transcribe(samples("jfk.flac"), options, lambda *_: None)
    job = groups[0][0]
    assert job.options.temperatures == (0.5, 0.7, 0.9)
    files, placement = transcriber.prepare_model("tiny.en")
    decoder = batch_engine_of(loaded_model(files.directory, files.revision, placement)).decoder
    prompt = decoder.tokenizer("en", "transcribe").decode(decoder._prompt(job))
    assert "Kennedy" in prompt
    assert "A speech." in prompt


@pytest.mark.slow
def test_progress_callback_can_cancel(transcriber):
    """An exception of the callback ends the work, and the engine still serves others."""

    class Canceled(Exception):
        pass

    def cancel(done_s: float, _total_s: float) -> None:
        if done_s > 0:
            raise Canceled

    waveform, _ = long_recording()
    with pytest.raises(Canceled):
        transcriber.transcribe(waveform, TINY_EN, cancel)
    assert "country" in text(transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None))


@pytest.mark.long
def test_errors_of_the_model_reach_the_caller(transcriber, monkeypatch):
    """The caller does not wait for a worker thread that failed."""

    def fail(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(WindowDecoder, "_generate", fail)
    with pytest.raises(RuntimeError, match="broken"):
        transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None)


@pytest.mark.slow
def test_few_windows_are_pending_at_once(transcriber, monkeypatch):
    """However long the recording, only `_MAX_PENDING` of its spectrograms exist."""
    monkeypatch.setattr(batched_decoder, "_MAX_PENDING", 3)
    monkeypatch.setattr(batched_decoder, "_MAX_REGION_S", 60.0)
    waveform, spoken = long_recording()
    result = transcriber.transcribe(waveform, TINY_EN, lambda *_: None)
    assert word_errors("en", spoken, text(result)).rate < 0.2


@pytest.mark.slow
def test_language_is_detected_in_each_of_many_files(base_model_home):
    """German, French and Spanish clips in one batch are each in their own language."""
    transcriber = WhisperTranscriber(
        models_home=str(base_model_home), engine="batched", cpu_threads=2
    )
    names = ("fleurs-de-003.ogg", "fleurs-fr-002.ogg", "fleurs-es-002.ogg")
    results: dict[str, Recognition] = {}
    threads = [
        threading.Thread(
            target=lambda name=name: results.update(
                {name: transcriber.transcribe(samples(name), BASE, lambda *_: None)}
            )
        )
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [results[name].language for name in names] == ["de", "fr", "es"]
    assert all(results[name].language_probability > 0.7 for name in names)
    rates = [word_errors(clip(n).language, clip(n).reference, text(results[n])).rate for n in names]
    assert max(rates) < 0.4


@pytest.mark.slow
def test_language_of_a_long_recording_and_translation(base_model_home):
    """Of several windows the first ones decide for all of them; the task is respected."""
    transcriber = WhisperTranscriber(
        models_home=str(base_model_home), engine="batched", cpu_threads=2
    )
    pause = np.zeros(48_000, np.float32)
    waveform = np.concatenate(
        [samples("fleurs-de-003.ogg"), pause, samples("fleurs-de-001.ogg"), pause]
    )
    options = TranscriptionOptions(model="base", task="translate")
    result = transcriber.transcribe(waveform, options, lambda *_: None)
    assert result.language == "de"
    english = set(text(result).lower().split())
    assert len(english & {"the", "of", "and", "in", "to", "is", "a", "was", "that"}) >= 3


def test_shape_follows_the_device(transcriber, monkeypatch):
    """A CPU has one worker of one thread per core on one copy of the weights; a GPU has large
    batches."""
    files, placement = transcriber.prepare_model("tiny.en")
    assert (placement.cpu_threads, placement.workers) == (1, 2)
    model = loaded_model(files.directory, files.revision, placement)
    assert model.model.num_workers == 2
    assert (batch_shape("cpu", 2).workers, batch_shape("cpu", 2).encode_batch) == (2, 1)
    gpu = batch_shape("cuda", 1)
    assert gpu.workers == 1
    assert gpu.encode_batch >= 8
    assert gpu.decode_batch > batch_shape("cpu", 2).decode_batch
    monkeypatch.setattr(
        "resources.transcribe.whisper_transcriber.choose_placement",
        lambda *_: Placement("cuda", "float16", 2),
    )
    assert transcriber.prepare_model("tiny.en")[1] == Placement("cuda", "float16", 2)
    assert device._MAX_LOADED_MODELS >= 2


def test_setting_selects_the_decoder(tmp_path):
    """`YTCAPTION_ENGINE` selects it; all other settings apply to both."""
    for name, kind in (("batched", BatchedDecoder), ("sequential", SequentialDecoder)):
        settings = Settings(home=tmp_path, engine=name, beam_size=3)
        for chosen in (
            WhisperTranscriber.from_settings(settings),
            transcriber_of(settings.changed(worker="off")),
        ):
            assert type(chosen) is WhisperTranscriber
            assert type(chosen.decoder) is kind
            assert chosen.beam_size == 3
        warm = transcriber_of(settings)
        assert isinstance(warm, WorkerTranscriber)
        assert (type(warm.local.decoder), warm.local.engine) == (kind, name)


def test_engine_is_described(transcriber, reference):
    """Provenance tells the two engines apart."""
    ours, theirs = transcriber.describe("tiny.en"), reference.describe("tiny.en")
    assert ours.engine != theirs.engine
    assert ours.model_revision == theirs.model_revision
