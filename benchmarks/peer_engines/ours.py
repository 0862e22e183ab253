"""ytcaption's own engines, as a run uses them."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from benchmarks.peer_engines.recording import BEAM_SIZE, THREADS, Recording, Transcribe, Weights
from resources.audio.samples import map_samples
from resources.transcribe.whisper_transcriber import EngineName, WhisperTranscriber
from ytcaption.domain.request import TranscriptionOptions

CALLERS = 64


def sequential(weights: Weights) -> Transcribe:
    """Return the engine of `YTCAPTION_ENGINE=sequential`."""
    return _transcribe_function("sequential", weights, callers=1)


def batched(weights: Weights) -> Transcribe:
    """Return the engine of `YTCAPTION_ENGINE=batched`, called for all recordings of a set at
    once."""
    return _transcribe_function("batched", weights, callers=CALLERS)


def _transcribe_function(engine: EngineName, weights: Weights, callers: int) -> Transcribe:
    transcriber = WhisperTranscriber(
        models_home=str(weights.directory.parent),
        engine=engine,
        device="cpu",
        cpu_threads=THREADS,
        beam_size=BEAM_SIZE,
    )
    return partial(_transcribe, transcriber, weights.name, callers)


def _transcribe(
    transcriber: WhisperTranscriber, model: str, callers: int, recordings: list[Recording]
) -> list[str]:
    def transcribe(recording: Recording) -> str:
        options = TranscriptionOptions(model=model, language=recording.language)
        waveform = map_samples(recording.file.open("rb"))
        result = transcriber.transcribe(waveform, options, lambda *_: None)
        return " ".join(segment.text for segment in result.segments)

    with ThreadPoolExecutor(callers) as pool:
        return list(pool.map(transcribe, recordings))
