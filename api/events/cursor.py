"""Event ids: they encode what the reader has seen, so that any process can resume the stream."""

import hashlib
import re
from dataclasses import dataclass
from typing import Self

_ID = re.compile(r"(\d{1,9})-(\d{1,9})-([0-9a-f]{12})-([0-9a-f]{12})", re.ASCII)


@dataclass(frozen=True)
class EventCursor:
    """What a reader has seen.

    Attributes:
        attempt: whose segments they have; 0 also before any.
        seen: how many of them.
        last_state: digest of the last state or end they received.
    """

    attempt: int = 0
    seen: int = 0
    last_state: str = "0" * 12

    def event_id(self, transcription_id: str) -> str:
        """Return `<attempt>-<segments>-<state>-<check>`."""
        text = f"{self.attempt}-{self.seen}-{self.last_state}"
        return f"{text}-{digest(f'{transcription_id} {text}')}"

    @classmethod
    def of(cls, transcription_id: str, event_id: str | None) -> Self | None:
        """Return what an event id encodes; None if it is not an id of this transcription."""
        match = _ID.fullmatch(event_id or "")
        if match is None:
            return None
        cursor = cls(int(match[1]), int(match[2]), match[3])
        return cursor if cursor.event_id(transcription_id) == event_id else None


def digest(text: str) -> str:
    """Return twelve hex digits; they detect mistakes, not attacks."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
