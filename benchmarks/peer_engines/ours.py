"""ytcaption's own engines, as a run uses them."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from benchmarks.peer_engines.recording import BEAM_SIZE, THREADS, Hear, Recording, Weights
from resources.audio.samples import map_samples
from resources.transcribe.whisper_transcriber import EngineName, WhisperTranscriber
from ytcaption.domain.request import TranscriptionOptions

CALLERS = 64


def sequential(weights: Weights) -> Hear:
    """`YTCAPTION_ENGINE=sequential`."""
    return _hearing("sequential", weights, callers=1)


def batched(weights: Weights) -> Hear:
    """`YTCAPTION_ENGINE=batched`, asked for all recordings of a set at once, as by a batch."""
    return _hearing("batched", weights, callers=CALLERS)


def _hearing(engine: EngineName, weights: Weights, callers: int) -> Hear:
    transcriber = WhisperTranscriber(
        models_home=str(weights.directory.parent),
        engine=engine,
        device="cpu",
        cpu_threads=THREADS,
        beam_size=BEAM_SIZE,
    )
    return partial(_hear, transcriber, weights.name, callers)


def _hear(
    transcriber: WhisperTranscriber, model: str, callers: int, recordings: list[Recording]
) -> list[str]:
    def hear(recording: Recording) -> str:
        options = TranscriptionOptions(model=model, language=recording.language)
        waveform = map_samples(recording.file.open("rb"))
        found = transcriber.transcribe(waveform, options, lambda *_: None)
        return " ".join(segment.text for segment in found.segments)

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(hear, recordings))
