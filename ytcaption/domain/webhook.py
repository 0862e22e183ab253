"""Events, retry delays and secrets of webhooks (Standard Webhooks)."""

import base64
import binascii
import secrets
from typing import Literal, get_args

from ytcaption.domain.errors import InvalidOption

EventType = Literal[
    "transcription.queued",
    "transcription.started",
    "transcription.retry_queued",
    "transcription.completed",
    "transcription.failed",
    "transcription.canceled",
]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
DEFAULT_WEBHOOK_EVENTS: tuple[EventType, ...] = EVENT_TYPES[-3:]
"""Events that are sent by default; the default of migration 0004."""

PING = "webhook.ping"

DELAYS_S = (0.0, 5.0, 300.0, 1_800.0, *(hours * 3_600.0 for hours in (2, 5, 10, 14, 20, 24)))
"""The delay before each attempt, from the failure of the one before."""

JITTER = 0.2
_LONGEST_WAIT_S = 24 * 3_600.0

_PREFIX = "whsec_"
_SECRET_BYTES = 32
_SIZES = range(24, 65)


def next_delay_s(made: int, chance: float, retry_after_s: float | None = None) -> float | None:
    """Return the seconds from a failed attempt to the next one; None after the last.

    Args:
        made: attempts of this series, the failed one included.
        chance: in [0, 1), spreads the attempts over +-20 %.
        retry_after_s: as the receiver requested; it never shortens the delay.
    """
    if made >= len(DELAYS_S):
        return None
    planned_s = DELAYS_S[made] * (1.0 + JITTER * (2.0 * chance - 1.0))
    return max(planned_s, min(retry_after_s or 0.0, _LONGEST_WAIT_S))


def new_secret() -> str:
    """Return `whsec_` and 256 random bits."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def checked_secret(text: str) -> str:
    """Return a secret that the user provided.

    Raises:
        InvalidOption: not `whsec_` and 24 to 64 bytes in base64.
    """
    try:
        size = len(base64.b64decode(text.removeprefix(_PREFIX), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not text.startswith(_PREFIX) or size not in _SIZES:
        raise InvalidOption(
            "A secret is whsec_ and 24 to 64 bytes in base64. Leave it out to have one made."
        )
    return text
