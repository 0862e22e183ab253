"""One measurement of `ytcaption bench-model`: `python -m ... MODEL ENGINE SECONDS`.

Prints a line of JSON for each step, and one at the end: what was measured, or the error. It ends
when its standard input does.
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
from ytcaption.settings import Settings, load_settings
from ytcaption_assets.cli.models.bench_model import Measured
from ytcaption_assets.cli.transcribe.source_argument import SAMPLE

_PAUSE_S = 3.0
"""Long enough that each time stands alone: the decoder takes what is said again for a loop."""

_RATE_HZ = 16_000
_KILO = 1 if sys.platform == "darwin" else 1024


def measure(model: str, engine: str, seconds: int) -> Measured:
    """Loads the model, then hears about `seconds` of speech with it."""
    settings = load_settings().model_copy(update={"engine": engine})
    transcriber = WhisperTranscriber.from_settings(settings)
    options = TranscriptionOptions(model=model, language="en")
    sample = _sample(settings)
    # First a short one: it loads the model, and what is made on first use is not measured.
    first = transcriber.transcribe(sample, options, lambda *_: None)
    pause = np.zeros(int(_PAUSE_S * _RATE_HZ), np.float32)
    once = np.concatenate([sample, pause])
    waveform = np.tile(once, ceil(seconds * _RATE_HZ / len(once)))
    heard = transcriber.transcribe(waveform, options, lambda *at: _say(progress=at))
    info = transcriber.describe(model)
    return Measured(
        device=info.device,
        compute_type=info.compute_type,
        load_s=first.timings_s["load"],
        audio_s=heard.duration_s,
        took_s=sum(heard.timings_s.values()),
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KILO,
    )


def _sample(settings: Settings) -> np.ndarray:
    return AudioDecoder.from_settings(settings).decode(SAMPLE)


def _say(**found: Any) -> None:
    print(json.dumps(found), flush=True)  # noqa: T201 - for the parent


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def main(model: str, engine: str, seconds: str) -> None:
    """The measurement, or its error in a sentence."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        found = measure(model, engine, int(seconds))
    except YtcaptionError as error:
        _say(error=error.message)
    except Exception as error:
        _say(error=f"It failed with this model ({type(error).__name__}: {str(error)[:200]}).")
    else:
        _say(measured=vars(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
