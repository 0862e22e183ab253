"""The pipeline of transformers on torch, float32, with windows of 30 s, eight at once."""

import json
import os
import shutil
from functools import partial
from pathlib import Path

from benchmarks.peer_engines import ct2_weights
from benchmarks.peer_engines.recording import BEAM_SIZE, THREADS, Recording, Transcribe, Weights

BATCH = 8
END = "<|endoftext|>"
_BLOCKS = {
    "cross_attn_ln.": "encoder_attn_layer_norm.",
    "cross_attn.query": "encoder_attn.q_proj",
    "cross_attn.key": "encoder_attn.k_proj",
    "cross_attn.value": "encoder_attn.v_proj",
    "cross_attn.out": "encoder_attn.out_proj",
    "attn_ln.": "self_attn_layer_norm.",
    "attn.query": "self_attn.q_proj",
    "attn.key": "self_attn.k_proj",
    "attn.value": "self_attn.v_proj",
    "attn.out": "self_attn.out_proj",
    "mlp_ln.": "final_layer_norm.",
    "mlp.0": "fc1",
    "mlp.2": "fc2",
}
_WHOLE = {
    "ln_post": "layer_norm",
    "ln.": "layer_norm.",
    "token_embedding": "embed_tokens",
    "positional_embedding": "embed_positions.weight",
}


def pipeline(weights: Weights) -> Transcribe:
    """Return the engine; recordings of one language share batches."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    import transformers

    torch.set_num_threads(THREADS)
    transformers.logging.set_verbosity_error()
    folder = weights.convert_once("hugging_face", _write)
    engine = transformers.pipeline(
        "automatic-speech-recognition",
        model=transformers.WhisperForConditionalGeneration.from_pretrained(folder),
        tokenizer=transformers.WhisperTokenizer.from_pretrained(folder, pad_token=END),
        feature_extractor=transformers.WhisperFeatureExtractor(),
        chunk_length_s=30,
        batch_size=BATCH,
        device="cpu",
    )
    return partial(_transcribe, engine, weights.is_multilingual)


def _transcribe(pipeline, is_multilingual: bool, recordings: list[Recording]) -> list[str]:
    texts = [""] * len(recordings)
    for language in dict.fromkeys(each.language for each in recordings):
        options = {"language": language, "task": "transcribe"} if is_multilingual else {}
        chosen = [at for at, each in enumerate(recordings) if each.language == language]
        results = pipeline(
            [recordings[at].samples() for at in chosen],
            generate_kwargs={"num_beams": BEAM_SIZE, **options},
        )
        for at, each in zip(chosen, results, strict=True):
            texts[at] = each["text"]
    return texts


def _write(weights: Weights, folder: Path) -> None:
    """Write a folder in the format of `save_pretrained`."""
    import torch
    import transformers

    source = ct2_weights.read(weights.directory)
    dims = source.dims
    end = 50257 if weights.is_multilingual else 50256
    ends = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end}
    start = {"decoder_start_token_id": end + 1}
    model = transformers.WhisperForConditionalGeneration(
        transformers.WhisperConfig(
            vocab_size=dims["n_vocab"],
            num_mel_bins=dims["n_mels"],
            encoder_layers=dims["n_audio_layer"],
            decoder_layers=dims["n_text_layer"],
            encoder_attention_heads=dims["n_audio_head"],
            decoder_attention_heads=dims["n_text_head"],
            d_model=dims["n_audio_state"],
            encoder_ffn_dim=4 * dims["n_audio_state"],
            decoder_ffn_dim=4 * dims["n_text_state"],
            **ends,
            **start,
        )
    )
    state = {_renamed(name): torch.from_numpy(value) for name, value in source.state.items()}
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    model.load_state_dict(state)
    model.generation_config = transformers.GenerationConfig(
        **ends, **start, **_generation(weights), return_timestamps=False, max_length=448
    )
    model.save_pretrained(folder)
    shutil.copy(weights.directory / "tokenizer.json", folder)


def _renamed(name: str) -> str:
    side, _, rest = name.partition(".")
    if rest.startswith("blocks."):
        _, layer, part = rest.split(".", 2)
        old = next(each for each in _BLOCKS if part.startswith(each))
        return f"model.{side}.layers.{layer}.{part.replace(old, _BLOCKS[old], 1)}"
    for old, new in _WHOLE.items():
        if rest.startswith(old):
            return f"model.{side}.{rest.replace(old, new, 1)}"
    return f"model.{name}"


def _generation(weights: Weights) -> dict:
    """Return the generation configuration: the special tokens of a Whisper decoder."""
    config = json.loads((weights.directory / "config.json").read_text())
    words = json.loads((weights.directory / "tokenizer.json").read_text())["added_tokens"]
    ids = {each["content"]: each["id"] for each in words}
    languages = {name: at for name, at in ids.items() if at in config["lang_ids"]}
    tasks = {name: ids[f"<|{name}|>"] for name in ("transcribe", "translate")}
    return {
        "suppress_tokens": config["suppress_ids"],
        "begin_suppress_tokens": config["suppress_ids_begin"],
        "alignment_heads": config["alignment_heads"],
        "no_timestamps_token_id": ids["<|notimestamps|>"],
        "prev_sot_token_id": ids["<|startofprev|>"],
        "is_multilingual": weights.is_multilingual,
        **({"lang_to_id": languages, "task_to_id": tasks} if weights.is_multilingual else {}),
    }
