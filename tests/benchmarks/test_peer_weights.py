"""Weights converted for other engines have the same numbers as CTranslate2's."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.peer_engines import ct2_weights
from benchmarks.peer_engines.whisper_cpp import _q8

pytestmark = pytest.mark.model

WIDTH, TOKENS, LAYERS = 384, 51_864, 4


@pytest.fixture(scope="module")
def weights(model_home: Path) -> ct2_weights.OpenAIWeights:
    """tiny.en."""
    return ct2_weights.read(model_home / "tiny.en")


@pytest.mark.long
def test_dimensions_are_those_that_openai_published(weights: ct2_weights.OpenAIWeights) -> None:
    """tiny.en has 37,184,256 trained numbers, in four layers per side."""
    assert weights.dims == {
        "n_mels": 80,
        "n_vocab": TOKENS,
        "n_audio_ctx": 1500,
        "n_audio_state": WIDTH,
        "n_audio_head": 6,
        "n_audio_layer": LAYERS,
        "n_text_ctx": 448,
        "n_text_state": WIDTH,
        "n_text_head": 6,
        "n_text_layer": LAYERS,
    }
    positions = 1500 * WIDTH
    assert sum(each.size for each in weights.state.values()) - positions == 37_184_256


def test_every_part_of_a_layer_is_present(weights: ct2_weights.OpenAIWeights) -> None:
    """Query, key and value are split from one matrix; a key has no bias."""
    layer = "decoder.blocks.3"
    for attention in (f"{layer}.attn", f"{layer}.cross_attn"):
        for part in ("query", "key", "value", "out"):
            assert weights.state[f"{attention}.{part}.weight"].shape == (WIDTH, WIDTH)
            assert (f"{attention}.{part}.bias" in weights.state) == (part != "key")
    assert weights.state[f"{layer}.mlp.0.weight"].shape == (4 * WIDTH, WIDTH)


def test_another_version_of_the_file_is_rejected(tmp_path: Path) -> None:
    """Its numbers would be read from wrong positions."""
    (tmp_path / "model.bin").write_bytes((5).to_bytes(4, "little") + bytes(64))

    with pytest.raises(ValueError, match="version 5"):
        ct2_weights.read(tmp_path)


def test_eight_bits_are_within_half_a_step(weights: ct2_weights.OpenAIWeights) -> None:
    """32 numbers share a scale of 16 bits and have a byte each, as in ggml."""
    matrix = weights.state["encoder.blocks.0.mlp.0.weight"]

    packed = np.frombuffer(_q8(matrix), [("scale", "<f2"), ("values", "i1", 32)])

    back = packed["scale"].astype(np.float32)[:, None] * packed["values"]
    step = np.abs(matrix.reshape(-1, 32)).max(1, keepdims=True) / 127
    assert (np.abs(back - matrix.reshape(-1, 32)) <= 0.6 * step + 1e-6).all()
