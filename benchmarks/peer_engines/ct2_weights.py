"""Reads a Whisper model of CTranslate2, with OpenAI's names of its parts."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)
_LAYER_PARTS = {
    "self_attention/layer_norm": "attn_ln",
    "self_attention/linear_1": "attn.out",
    "attention/layer_norm": "cross_attn_ln",
    "attention/linear_0": "cross_attn.query",
    "attention/linear_2": "cross_attn.out",
    "ffn/layer_norm": "mlp_ln",
    "ffn/linear_0": "mlp.0",
    "ffn/linear_1": "mlp.2",
}
_JOINED = {  # several matrices in one: query, key and value, one below the other
    "self_attention/linear_0": ("attn.query", "attn.key", "attn.value"),
    "attention/linear_1": ("cross_attn.key", "cross_attn.value"),
}
_WHOLE = {
    "encoder/position_encodings/encodings": "encoder.positional_embedding",
    "encoder/layer_norm/gamma": "encoder.ln_post.weight",
    "encoder/layer_norm/beta": "encoder.ln_post.bias",
    "decoder/embeddings/weight": "decoder.token_embedding.weight",
    "decoder/position_encodings/encodings": "decoder.positional_embedding",
    "decoder/layer_norm/gamma": "decoder.ln.weight",
    "decoder/layer_norm/beta": "decoder.ln.bias",
} | {
    f"encoder/{part}/{kind}": f"encoder.{part}.{kind}"
    for part in ("conv1", "conv2")
    for kind in ("weight", "bias")
}
_KINDS = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}


@dataclass(frozen=True)
class OpenAIWeights:
    """The contents of an OpenAI checkpoint.

    Attributes:
        dims: values of their `ModelDimensions`.
        state: float32 arrays by name.
    """

    dims: dict[str, int]
    state: dict[str, np.ndarray]


def read(directory: Path) -> OpenAIWeights:
    """Read the model in a folder of CTranslate2; its numbers are not changed.

    Raises:
        ValueError: `model.bin` is not of version 6, or has a part that Whisper does not have.
    """
    variables = _variables((directory / "model.bin").read_bytes())
    state: dict[str, np.ndarray] = {}
    for name, value in variables.items():
        if value.ndim:  # the others are settings, such as the number of heads
            state |= _renamed(name, value.astype(np.float32))
    width = state["encoder.conv1.weight"].shape[0]
    dims = {
        "n_mels": state["encoder.conv1.weight"].shape[1],
        "n_vocab": state["decoder.token_embedding.weight"].shape[0],
        "n_audio_ctx": state["encoder.positional_embedding"].shape[0],
        "n_audio_state": width,
        "n_audio_head": int(variables["encoder/num_heads"]),
        "n_audio_layer": _layers(state, "encoder"),
        "n_text_ctx": state["decoder.positional_embedding"].shape[0],
        "n_text_state": width,
        "n_text_head": int(variables["decoder/num_heads"]),
        "n_text_layer": _layers(state, "decoder"),
    }
    return OpenAIWeights(dims, state)


def _renamed(name: str, value: np.ndarray) -> dict[str, np.ndarray]:
    if name in _WHOLE:
        return {_WHOLE[name]: value}
    if name == "decoder/projection/weight":  # the embeddings once more
        return {}
    side, layer, rest = name.split("/", 2)
    part, kind = rest.rsplit("/", 1)
    block = f"{side}.blocks.{layer.removeprefix('layer_')}"
    kind = _KINDS[kind]
    if part in _LAYER_PARTS:
        return {f"{block}.{_LAYER_PARTS[part]}.{kind}": value}
    if part not in _JOINED:
        raise ValueError(f"{name} is not a part of Whisper")
    parts = zip(_JOINED[part], np.split(value, len(_JOINED[part])), strict=True)
    return {  # a key has no bias: zeros here
        f"{block}.{to}.{kind}": piece
        for to, piece in parts
        if not (to.endswith("key") and kind == "bias")
    }


def _layers(state: dict[str, np.ndarray], side: str) -> int:
    return len({name.split(".")[2] for name in state if name.startswith(f"{side}.blocks.")})


def _variables(data: bytes) -> dict[str, np.ndarray]:
    """Return every array of a model.bin, including aliases."""
    at = 0

    def number(kind: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{kind}", data, at)
        at += struct.calcsize(f"<{kind}")
        return value

    def text() -> str:
        nonlocal at
        length = number("H")
        at += length
        return data[at - length : at - 1].decode()  # without the closing zero

    if (version := number("I")) != 6:
        raise ValueError(f"model.bin is of version {version}, not 6")
    text(), number("I")  # the kind of model and its revision
    arrays: dict[str, np.ndarray] = {}
    for _ in range(number("I")):
        name = text()
        shape = tuple(number("I") for _ in range(number("B")))
        kind = np.dtype(_TYPES[number("B")])
        size = number("I")
        arrays[name] = np.frombuffer(data, kind, size // kind.itemsize, at).reshape(shape)
        at += size
    for _ in range(number("I")):
        alias = text()
        arrays[alias] = arrays[text()]
    return arrays
