"""How long a transcription took, from request to text."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Timings:
    """Timestamps of one transcription; None where the event history does not have them.

    Attributes:
        queued_at: when it was requested, or requested again.
        started_at: when the first attempt began.
        processing_s: wall seconds of decoding and transcribing the audio; None for captions,
            and where several attempts shared the work.
    """

    queued_at: datetime | None = None
    started_at: datetime | None = None
    processing_s: float | None = None


UNKNOWN = Timings()
