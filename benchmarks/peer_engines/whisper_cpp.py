"""whisper.cpp by pywhispercpp, with 8-bit weights (q8_0), its nearest format to int8."""

import base64
import os
import struct
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from benchmarks.peer_engines import ct2_weights
from benchmarks.peer_engines.recording import BEAM_SIZE, THREADS, Recording, Transcribe, Weights

_MAGIC = 0x67676D6C
_F32, _F16, _Q8 = 0, 1, 8
_Q8_FILE = 7
_Q8_BLOCK = 32
_BEAM_SEARCH = 1


def sequential(weights: Weights) -> Transcribe:
    """Return the engine of `whisper-cli -bs 5 -t 2`."""
    from pywhispercpp.model import Model

    model = Model(
        str(weights.convert_once("whisper_cpp.q8_0.bin", _write)),
        n_threads=THREADS,
        params_sampling_strategy=_BEAM_SEARCH,
        beam_search={"beam_size": BEAM_SIZE, "patience": -1.0},
        print_progress=False,
        print_realtime=False,
        redirect_whispercpp_logs_to=os.devnull,
    )
    return partial(_transcribe, model)


def _transcribe(model, recordings: list[Recording]) -> list[str]:
    return [
        " ".join(
            segment.text
            for segment in model.transcribe(each.samples(), language=each.language or "auto")
        )
        for each in recordings
    ]


def _write(weights: Weights, file: Path) -> None:
    """Write a ggml file like whisper.cpp's `convert-pt-to-ggml.py` and `quantize`."""
    import whisper

    assets = Path(whisper.__file__).parent / "assets"
    source = ct2_weights.read(weights.directory)
    dims = source.dims
    filters = np.load(assets / "mel_filters.npz")[f"mel_{dims['n_mels']}"].astype("<f4")
    kind = "multilingual" if weights.is_multilingual else "gpt2"
    names = assets / f"{kind}.tiktoken"
    tokens = [base64.b64decode(line.split()[0]) for line in names.read_bytes().splitlines() if line]
    order = ["n_vocab", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer"]
    order += ["n_text_ctx", "n_text_state", "n_text_head", "n_text_layer", "n_mels"]
    with file.open("wb") as out:
        out.write(struct.pack("<12i", _MAGIC, *(dims[each] for each in order), _Q8_FILE))
        out.write(struct.pack("<2i", *filters.shape) + filters.tobytes())
        out.write(struct.pack("<i", len(tokens)))
        for token in tokens:
            out.write(struct.pack("<i", len(token)) + token)
        for name, value in source.state.items():
            _write_tensor(out, name, value)


def _write_tensor(out: BinaryIO, name: str, value: np.ndarray) -> None:
    if name in ("encoder.conv1.bias", "encoder.conv2.bias"):
        value = value.reshape(-1, 1)
        kind = _F32
    elif value.ndim < 2 or name.endswith("positional_embedding"):
        kind = _F32
    else:
        kind = _Q8 if value.ndim == 2 else _F16
    written = name.encode()
    out.write(struct.pack("<3i", value.ndim, len(written), kind))
    out.write(struct.pack(f"<{value.ndim}i", *reversed(value.shape)) + written)
    if kind == _Q8:
        out.write(_q8(value))
    else:
        out.write(value.astype("<f4" if kind == _F32 else "<f2").tobytes())


def _q8(value: np.ndarray) -> bytes:
    """Quantize to ggml's q8_0: 32 numbers share a scale of 16 bits."""
    blocks = value.reshape(-1, _Q8_BLOCK)
    scale = np.abs(blocks).max(1, keepdims=True) / 127
    rounded = np.rint(blocks / np.where(scale > 0, scale, 1))
    packed = np.empty(len(blocks), [("scale", "<f2"), ("values", "i1", _Q8_BLOCK)])
    packed["scale"], packed["values"] = scale[:, 0], rounded
    return packed.tobytes()
