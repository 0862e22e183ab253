"""The ids of events: what their reader has seen, so that any process can go on from there."""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

_ID = re.compile(r"(\d{1,9})-(\d{1,9})-([0-9a-f]{12})-([0-9a-f]{12})", re.ASCII)


@dataclass(frozen=True)
class EventCursor:
    """How far a reader is.

    Attributes:
        attempt: whose segments they have; 0 also before any.
        seen: how many of them.
        news: digest of the last state or end that they were told.
    """

    attempt: int = 0
    seen: int = 0
    news: str = "0" * 12

    def event_id(self, transcription_id: str) -> str:
        """`<attempt>-<segments>-<news>-<check>`."""
        text = f"{self.attempt}-{self.seen}-{self.news}"
        return f"{text}-{digest(f'{transcription_id} {text}')}"

    @classmethod
    def of(cls, transcription_id: str, event_id: str | None) -> Self | None:
        """What an event's id says; None where it is no id of this transcription's events."""
        found = _ID.fullmatch(event_id or "")
        if found is None:
            return None
        cursor = cls(int(found[1]), int(found[2]), found[3])
        return cursor if cursor.event_id(transcription_id) == event_id else None


def digest(text: str) -> str:
    """Twelve hex digits; not against those who would deceive themselves."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
