"""Plain faster-whisper: int8, beam 5, all else at default."""

from functools import partial

from benchmarks.peer_engines.recording import BEAM_SIZE, THREADS, Recording, Transcribe, Weights
from resources.processes.native_threads import keep_freed_memory

BATCH = 8


def sequential(weights: Weights) -> Transcribe:
    """Return the sequential engine, the reference of the others."""
    return partial(_transcribe, _model(weights).transcribe)


def tuned(weights: Weights) -> Transcribe:
    """Return the sequential engine with ytcaption's memory settings, to measure their effect."""
    keep_freed_memory()
    return sequential(weights)


def batched(weights: Weights) -> Transcribe:
    """Return its BatchedInferencePipeline, with eight windows of one recording at once."""
    from faster_whisper import BatchedInferencePipeline

    pipeline = BatchedInferencePipeline(_model(weights))
    return partial(_transcribe, partial(pipeline.transcribe, batch_size=BATCH))


def _model(weights: Weights):
    from faster_whisper import WhisperModel

    return WhisperModel(
        str(weights.directory), device="cpu", compute_type="int8", cpu_threads=THREADS
    )


def _transcribe(transcribe, recordings: list[Recording]) -> list[str]:
    texts = []
    for each in recordings:
        segments, _ = transcribe(each.samples(), language=each.language, beam_size=BEAM_SIZE)
        texts.append("".join(segment.text for segment in segments))
    return texts
