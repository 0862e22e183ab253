"""How long a transcription took, from the question to the text."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Timings:
    """Moments of the making of one text; None where the event history does not say.

    Attributes:
        queued_at: asked for, or asked for anew.
        started_at: the first attempt began.
        processing_s: what decoding and hearing the audio took, in wall seconds; None for captions,
            and where several attempts shared it.
    """

    queued_at: datetime | None = None
    started_at: datetime | None = None
    processing_s: float | None = None


UNKNOWN = Timings()
