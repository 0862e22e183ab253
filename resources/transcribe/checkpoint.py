"""What an attempt has heard so far, kept so that the next one goes on there.

A checkpoint is a row of parts. Each holds what was heard since the one before it, so that saving
costs the same at the end of ten hours as at their beginning. Parts are JSON: they go to the
database, and between a run and a worker.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict


class Part(TypedDict):
    """All that was heard between the end of the part before and `done_s`.

    Attributes:
        number: from 0. Saving it voids what was saved under this number and later ones.
        engine: what heard it: parts of another engine, version, model or number format are not
            gone on with.
        language: Whisper's code of the recording, with its probability, 0 to 1.
        done_s: where the next attempt goes on: an end of what the engine decodes at once.
        clock_s: where the last word ended (`WordClock.now_s`).
        segments: `Segment`s as the decoder wrote them, before anything is dropped, as
            `dataclasses.asdict` gives them.
    """

    number: int
    engine: str
    language: str
    language_probability: float
    done_s: float
    clock_s: float
    segments: list[dict[str, Any]]


@dataclass(frozen=True)
class Checkpoint:
    """What earlier attempts have left, and where this one leaves what it hears.

    Attributes:
        state: the parts that were saved for this audio and these options, by number; empty where
            there are none. Who reads them checks them: they may be damaged or another engine's.
        save: keeps a part; called by the thread that transcribes, every half a minute or so. What
            it raises ends the work (ClaimLost: the run must stop); a store that is away is no
            reason to: the part is kept with the next one.
    """

    state: Sequence[Part]
    save: Callable[[Part], None]
