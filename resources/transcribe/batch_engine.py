"""The batch engine of each loaded model: its decoder, its queue, its batch sizes."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.transcribe.batch_queue import BatchQueue, BatchShape
from resources.transcribe.speech_windows import WindowCosts
from resources.transcribe.window_decoder import WindowDecoder

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

_MAX_ENGINES = 2
"""As many as models are kept loaded."""


@dataclass(frozen=True)
class BatchEngine:
    """A loaded model with its queue.

    Attributes:
        decoder: decodes a group of jobs.
        queue: jobs of all callers.
        costs: how speech is cut into windows for it.
    """

    decoder: WindowDecoder
    queue: BatchQueue
    costs: WindowCosts


def batch_shape(device: str, workers: int) -> BatchShape:
    """Return the batch sizes that keep a device busy.

    A CPU encodes one window at a time: two at once are 20 to 70 % slower each. Its decoder takes a
    third of the time per token with 8 windows at once; 16 take more memory and hardly less time. A
    GPU is idle without large batches.
    """
    if device == "cuda":
        return BatchShape(workers=1, decode_batch=32, encode_batch=16)
    return BatchShape(workers=workers, decode_batch=8, encode_batch=1)


_engines: "OrderedDict[int, BatchEngine]" = OrderedDict()
_lock = threading.Lock()


def batch_engine_of(model: "WhisperModel") -> BatchEngine:
    """Return the engine of a loaded model; the two used last are kept."""
    with _lock:
        if id(model) not in _engines:
            shape = batch_shape(model.model.device, model.model.num_workers)
            decoder = WindowDecoder(model, shape.encode_batch)
            queue = BatchQueue(decoder.decode, decoder.batch_key, shape)
            _engines[id(model)] = BatchEngine(decoder, queue, WindowCosts())
        _engines.move_to_end(id(model))
        while len(_engines) > _MAX_ENGINES:
            _engines.popitem(last=False)
        return _engines[id(model)]


def drop_batch_engines() -> None:
    """Drop the references to all models; none may be in use."""
    with _lock:
        _engines.clear()
