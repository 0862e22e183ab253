"""The batched engine through real weights: what WhisperTranscriber hears, several at once."""

import threading
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.common import clips, total
from resources.transcribe import (
    device as whisper_device,
)
from resources.transcribe import (
    recording_decoder as whisper_flight,
)
from resources.transcribe import (
    speech_windows,
)
from resources.transcribe.batch_decoder import WhisperBatch
from resources.transcribe.batched import BatchedTranscriber, local_transcriber_of
from resources.transcribe.device import Placement, loaded_model
from resources.transcribe.engine import engine_of, shape_of
from resources.transcribe.sequential import WhisperTranscriber
from resources.transcribe.window_job import Job
from resources.worker.transcriber import WorkerTranscriber, transcriber_of
from tests.support.clip_errors import DATA, TINY_EN, samples, text
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.accuracy import word_errors
from ytcaption.domain.transcripts.transcript import Recognition
from ytcaption.settings import Settings

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
def transcriber(model_home: Path) -> BatchedTranscriber:
    return BatchedTranscriber(models_home=str(model_home), cpu_threads=2)


@pytest.fixture(scope="module")
def reference(model_home: Path) -> WhisperTranscriber:
    return WhisperTranscriber(models_home=str(model_home), cpu_threads=2)


@pytest.fixture(scope="module")
def jfk(transcriber: BatchedTranscriber) -> Recognition:
    return transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None)


@pytest.fixture
def groups(monkeypatch) -> list[list[Job]]:
    """The groups that are decoded from here on."""
    found: list[list[Job]] = []
    real = WhisperBatch._generate

    def generate(self, jobs, encoded):
        found.append(list(jobs))
        return real(self, jobs, encoded)

    monkeypatch.setattr(WhisperBatch, "_generate", generate)
    return found


def test_kennedy_is_heard(jfk):
    """Without an error, in segments with words, scores and times."""
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


def test_words_lie_where_the_reference_has_them(jfk, reference):
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
def test_silence_noise_and_music_give_no_text(transcriber, name):
    """A file without speech is empty."""
    result = transcriber.transcribe(samples(name), TINY_EN, lambda *_: None)
    assert (result.segments, result.dropped, result.language) == ((), (), None)


def long_recording() -> tuple[np.ndarray, str]:
    """Three minutes: every English clip with pauses from 0.3 to 4 s, on their own levels."""
    found = [each for each in clips(DATA) if each.language == "en" and each.reference]
    pieces = []
    for at, each in enumerate(found):
        pieces += [
            samples(each.path.name),
            np.zeros(int((0.3 + at % 4 * 1.2) * 16_000), np.float32),
        ]
    return np.concatenate(pieces), " ".join(each.reference for each in found)


def test_no_word_of_a_long_recording_is_lost(transcriber, reference):
    """Recordings one after the other with pauses: no more errors than the reference makes, told
    while they are heard, in order, on time."""
    waveform, spoken = long_recording()
    told, seen = [], []
    result = transcriber.transcribe(
        waveform, TINY_EN, lambda done, _all: seen.append(done), told.append
    )
    theirs = reference.transcribe(waveform, TINY_EN, lambda *_: None)
    ours = word_errors("en", spoken, text(result))
    assert ours.rate <= word_errors("en", spoken, text(theirs)).rate + 0.01
    assert tuple(told) == result.segments
    assert seen == sorted(seen)
    assert seen[-1] == result.duration_s
    assert any(0.2 < done / result.duration_s < 0.9 for done in seen)
    found = words(result)
    assert all(before.end_s <= after.start_s for before, after in pairwise(found))
    assert [each.index for each in result.segments] == list(range(len(result.segments)))


def test_callers_share_batches(transcriber, groups):
    """Threads with a clip each hear about the same as alone, in fewer groups than clips."""
    found = [each for each in clips(DATA) if each.language == "en" and each.duration_s < 12]
    alone = [
        transcriber.transcribe(samples(each.path.name), TINY_EN, lambda *_: None) for each in found
    ]
    count = len(groups)
    texts: dict[str, Recognition] = {}

    def hear(each) -> None:
        texts[each.path.name] = transcriber.transcribe(
            samples(each.path.name), TINY_EN, lambda *_: None
        )

    groups.clear()
    threads = [threading.Thread(target=hear, args=(each,)) for each in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(groups) < count
    assert any(len({id(job.finished) for job in group}) > 1 for group in groups)
    mine = total(word_errors("en", e.reference, text(texts[e.path.name])) for e in found)
    lone = total(word_errors("en", e.reference, text(a)) for e, a in zip(found, alone, strict=True))
    # Computed together it is rounded otherwise: some words of 134. Another clip's would be all.
    assert mine.rate <= lone.rate + 0.06


def test_only_the_speech_is_encoded(transcriber, groups):
    """A window is the speech and a second or so, not the 30 s that Whisper was made for."""
    transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None)
    [[job]] = groups
    assert job.next_frames == 3000  # what a second try would have had
    assert job.seconds <= 11.0
    assert job.frames <= 1500


def test_doubtful_window_is_decoded_again_in_full(transcriber, groups, monkeypatch):
    """A text that says everything five times gives way to that of the full window."""
    say_again(monkeypatch, 5)
    result = transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None)
    assert word_errors("en", clip("jfk.flac").reference, text(result)).rate == 0.0
    assert len(groups) == 2  # the second one hears a full window
    assert len(groups[1][0].tries) == 2


def test_what_the_decoder_says_twice_is_kept_once(transcriber, groups, monkeypatch):
    """Without another try."""
    say_again(monkeypatch, 2)
    result = transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None)
    assert word_errors("en", clip("jfk.flac").reference, text(result)).rate == 0.0
    assert [len(group[0].tries) for group in groups] == [1]


def test_what_somebody_says_twice_is_kept_twice(transcriber, groups, monkeypatch):
    """In one window: the second time is heard by itself, since speech follows the first."""
    monkeypatch.setattr(speech_windows, "_MIN_PAUSE_S", 10.0)
    once = samples("fleurs-en-004.ogg")
    waveform = np.concatenate([once, once])
    result = transcriber.transcribe(waveform, TINY_EN, lambda *_: None)
    assert len(groups) == 2
    assert [len(each) for each in groups] == [1, 1]
    reference = clip("fleurs-en-004.ogg").reference
    assert word_errors("en", f"{reference} {reference}", text(result)).rate < 0.2


def say_again(monkeypatch, times: int) -> None:
    """The first try of each window writes its text so many times."""
    real = WhisperBatch._decoded

    def again(self, job, result, cap):
        if not job.tries:
            result = rewritten(result, result.sequences_ids[0] * times)
        return real(self, job, result, cap)

    monkeypatch.setattr(WhisperBatch, "_decoded", again)


def rewritten(result, tokens: list[int]) -> SimpleNamespace:
    """What the decoder found, in other words."""
    return SimpleNamespace(
        sequences_ids=[tokens], scores=result.scores, no_speech_prob=result.no_speech_prob
    )


def test_speech_behind_an_early_end_is_heard(transcriber, monkeypatch):
    """A decoder that stops after the first words is sent back to where they end."""
    real = WhisperBatch._decoded
    stopped = []

    def stop_early(self, job, result, cap):
        if stopped:
            return real(self, job, result, cap)
        stopped.append(result)
        ids = result.sequences_ids[0]
        return real(self, job, rewritten(result, ids[: len(ids) // 3]), cap)

    monkeypatch.setattr(WhisperBatch, "_decoded", stop_early)
    result = transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None)
    assert word_errors("en", clip("jfk.flac").reference, text(result)).rate < 0.2
    assert "do for your country" in text(result)


def test_hints_reach_the_decoder(transcriber, groups):
    """`initial_prompt` and `hotwords` stand in the prompt, the ladder begins where it is set."""
    options = TranscriptionOptions(
        model="tiny.en",
        language="en",
        initial_prompt="A speech.",
        hotwords="Kennedy",
        temperature=0.5,
    )
    transcriber.transcribe(samples("jfk.flac"), options, lambda *_: None)
    job = groups[0][0]
    assert job.asked.temperatures == (0.5, 0.7, 0.9)
    files, where = transcriber.placed("tiny.en")
    batch = engine_of(loaded_model(files.directory, files.revision, where)).batch
    prompt = batch.tokenizer("en", "transcribe").decode(batch._prompt(job))
    assert "Kennedy" in prompt
    assert "A speech." in prompt


def test_work_is_canceled_by_its_progress(transcriber):
    """What the callback raises ends the work, and the engine goes on for others."""

    class Canceled(Exception):
        pass

    def cancel(done_s: float, _total_s: float) -> None:
        if done_s > 0:
            raise Canceled

    waveform, _ = long_recording()
    with pytest.raises(Canceled):
        transcriber.transcribe(waveform, TINY_EN, cancel)
    assert "country" in text(transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None))


def test_errors_of_the_model_reach_the_caller(transcriber, monkeypatch):
    """Nobody waits for a worker that failed."""

    def fail(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(WhisperBatch, "_generate", fail)
    with pytest.raises(RuntimeError, match="broken"):
        transcriber.transcribe(samples("jfk.flac"), TINY_EN, lambda *_: None)


def test_few_windows_fly_at_once(transcriber, monkeypatch):
    """However long the recording, only so many of its spectrograms exist."""
    monkeypatch.setattr(whisper_flight, "_MAX_PENDING", 3)
    monkeypatch.setattr(whisper_flight, "_MAX_REGION_S", 60.0)
    waveform, spoken = long_recording()
    result = transcriber.transcribe(waveform, TINY_EN, lambda *_: None)
    assert word_errors("en", spoken, text(result)).rate < 0.2


def test_language_is_heard_in_each_of_many_files(base_model_home):
    """German, French and Spanish clips in one batch: each in its own language."""
    transcriber = BatchedTranscriber(models_home=str(base_model_home), cpu_threads=2)
    names = ("fleurs-de-003.ogg", "fleurs-fr-002.ogg", "fleurs-es-002.ogg")
    found: dict[str, Recognition] = {}
    threads = [
        threading.Thread(
            target=lambda name=name: found.update(
                {name: transcriber.transcribe(samples(name), BASE, lambda *_: None)}
            )
        )
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[name].language for name in names] == ["de", "fr", "es"]
    assert all(found[name].language_probability > 0.7 for name in names)
    rates = [word_errors(clip(n).language, clip(n).reference, text(found[n])).rate for n in names]
    assert max(rates) < 0.4


def test_language_of_a_long_recording_and_translation(base_model_home):
    """Several windows: the first ones decide for all of them; the task is honoured."""
    transcriber = BatchedTranscriber(models_home=str(base_model_home), cpu_threads=2)
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
    """A CPU: one worker of one thread a core, on one copy of the weights. A GPU: large batches."""
    files, where = transcriber.placed("tiny.en")
    assert (where.cpu_threads, where.workers) == (1, 2)
    model = loaded_model(files.directory, files.revision, where)
    assert model.model.num_workers == 2
    assert (shape_of("cpu", 2).workers, shape_of("cpu", 2).encode_batch) == (2, 1)
    gpu = shape_of("cuda", 1)
    assert gpu.workers == 1
    assert gpu.encode_batch >= 8
    assert gpu.decode_batch > shape_of("cpu", 2).decode_batch
    monkeypatch.setattr(
        "resources.transcribe.sequential.placement", lambda *_: Placement("cuda", "float16", 2)
    )
    assert transcriber.placed("tiny.en")[1] == Placement("cuda", "float16", 2)
    assert whisper_device._LOADED_MODELS >= 2


def test_setting_picks_the_engine(tmp_path):
    """`YTCAPTION_ENGINE`, with all else as it is set."""
    for name, kind in (("batched", BatchedTranscriber), ("sequential", WhisperTranscriber)):
        settings = Settings(home=tmp_path, engine=name, beam_size=3)
        for chosen in (
            local_transcriber_of(settings),
            transcriber_of(settings.model_copy(update={"worker": "off"})),
        ):
            assert type(chosen) is kind
            assert chosen.beam_size == 3
        warm = transcriber_of(settings)
        assert isinstance(warm, WorkerTranscriber)
        assert (type(warm.local), warm.engine) == (kind, name)


def test_engine_is_described(transcriber, reference):
    """Provenance tells the two engines apart."""
    ours, theirs = transcriber.describe("tiny.en"), reference.describe("tiny.en")
    assert ours.engine != theirs.engine
    assert ours.model_revision == theirs.model_revision
