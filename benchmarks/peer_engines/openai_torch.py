"""openai-whisper on torch, float32, with the search of its command line."""

from functools import partial
from pathlib import Path

from benchmarks.peer_engines import ct2_weights
from benchmarks.peer_engines.recording import BEAM_SIZE, THREADS, Recording, Transcribe, Weights

BEST_OF = 5


def sequential(weights: Weights) -> Transcribe:
    """Return the engine of `whisper --beam_size 5 --best_of 5 --threads 2`."""
    import torch
    import whisper

    torch.set_num_threads(THREADS)
    file = weights.convert_once("openai.pt", _write)
    return partial(_transcribe, whisper.load_model(str(file), device="cpu"))


def _transcribe(model, recordings: list[Recording]) -> list[str]:
    return [
        model.transcribe(
            each.samples(),
            language=each.language,
            beam_size=BEAM_SIZE,
            best_of=BEST_OF,
            fp16=False,
            verbose=None,
        )["text"]
        for each in recordings
    ]


def _write(weights: Weights, file: Path) -> None:
    """Write a checkpoint in OpenAI's format."""
    import torch

    source = ct2_weights.read(weights.directory)
    state = {name: torch.from_numpy(value) for name, value in source.state.items()}
    torch.save({"dims": source.dims, "model_state_dict": state}, file)
