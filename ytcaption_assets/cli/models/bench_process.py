"""One measurement of `ytcaption bench-model`: `python -m ... MODEL ENGINE SECONDS`.

Prints a line of JSON for each step, and one at the end with the measurement or the error. It ends
when its standard input is closed.
"""

import json
import os
import resource
import sys
import threading
from math import ceil
from typing import Any

import numpy as np

from resources.audio.decoder import AudioDecoder
from resources.transcribe.whisper_transcriber import WhisperTranscriber
from ytcaption.domain.errors import YtcaptionError
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)
from ytcaption_assets.cli.models.bench_model import Measured
from ytcaption_assets.cli.transcribe.source_argument import SAMPLE

_PAUSE_S = 3.0
"""Separates the repetitions: without a pause the decoder takes them for a repetition loop."""

_RATE_HZ = 16_000
_KILO = 1 if sys.platform == "darwin" else 1024


def measure(model: str, engine: str, seconds: int) -> Measured:
    """Load the model, transcribe about `seconds` of speech with it, and return the measurements."""
    settings = load_settings().changed(engine=engine)
    transcriber = WhisperTranscriber.from_settings(settings)
    options = TranscriptionOptions(model=model, language="en")
    sample = _sample(settings)
    # The first call loads the model and initializes it, which is not to be measured.
    first = transcriber.transcribe(sample, options, lambda *_: None)
    pause = np.zeros(int(_PAUSE_S * _RATE_HZ), np.float32)
    once = np.concatenate([sample, pause])
    waveform = np.tile(once, ceil(seconds * _RATE_HZ / len(once)))
    transcript = transcriber.transcribe(waveform, options, lambda *at: _send(progress=at))
    info = transcriber.describe(model)
    return Measured(
        device=info.device,
        compute_type=info.compute_type,
        load_s=first.timings_s["load"],
        audio_s=transcript.duration_s,
        took_s=sum(transcript.timings_s.values()),
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KILO,
    )


def _sample(settings: Settings) -> np.ndarray:
    return AudioDecoder.from_settings(settings).decode(SAMPLE)


def _send(**message: Any) -> None:
    print(json.dumps(message), flush=True)  # noqa: T201 - for the parent


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def main(model: str, engine: str, seconds: str) -> None:
    """Print the measurements, or the error as a sentence."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        measured = measure(model, engine, int(seconds))
    except YtcaptionError as error:
        _send(error=error.message)
    except Exception as error:
        _send(error=f"It failed with this model ({type(error).__name__}: {str(error)[:200]}).")
    else:
        _send(measured=vars(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
