"""The batches of each loaded model, and how large they are on its device."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.transcribe.batch_decoder import WhisperBatch
from resources.transcribe.batch_queue import BatchQueue, Shape
from resources.transcribe.speech_windows import WindowCosts

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

_ENGINES = 2
"""As many as models are kept."""


@dataclass(frozen=True)
class Engine:
    """A model at work.

    Attributes:
        batch: what it does with a group.
        queue: of jobs of all callers.
        costs: how speech is cut for it.
    """

    batch: WhisperBatch
    queue: BatchQueue
    costs: WindowCosts


def shape_of(device: str, workers: int) -> Shape:
    """How a device is kept busy.

    A CPU encodes one window at a time: two at once are 20 to 70 % slower each. Its decoder takes a
    third of the time a token with 8 windows at once; 16 take more memory, and little less time. A
    GPU is idle without large batches.
    """
    if device == "cuda":
        return Shape(workers=1, decode_batch=32, encode_batch=16)
    return Shape(workers=workers, decode_batch=8, encode_batch=1)


_engines: "OrderedDict[int, Engine]" = OrderedDict()
_making = threading.Lock()


def engine_of(model: "WhisperModel") -> Engine:
    """The engine of a loaded model, which lives as long as the model is one of the last two."""
    with _making:
        if id(model) not in _engines:
            shape = shape_of(model.model.device, model.model.num_workers)
            batch = WhisperBatch(model, shape.encode_batch)
            queue = BatchQueue(batch.decode, batch.key, shape)
            _engines[id(model)] = Engine(batch, queue, WindowCosts())
        _engines.move_to_end(id(model))
        while len(_engines) > _ENGINES:
            _engines.popitem(last=False)
        return _engines[id(model)]


def forget_engines() -> None:
    """Lets go of every model; nobody may be using one."""
    with _making:
        _engines.clear()
