"""Detect whether a source serves other audio than before under the same id."""

from dataclasses import dataclass

_DURATION_S, _DURATION_SHARE = 2.0, 0.01
"""Listings round to seconds; conversions cut or pad a little."""

_SIZE_SHARE = 0.02
"""Tags and pictures in a file come and go."""


@dataclass(frozen=True)
class AudioFacts:
    """What is known of a media item's audio at one time; None: not known.

    Attributes:
        duration_s: as stated or measured.
        size_bytes: of the file, as a feed states it.
        sha256: hex, of the bytes as served; None where a site converts files, and may do so again.
    """

    duration_s: float | None = None
    size_bytes: int | None = None
    sha256: str | None = None


def changed(before: AudioFacts, now: AudioFacts) -> str | None:
    """Return what has changed, in words for a person; None where nothing indicates a change.

    Equal bytes are the same audio whatever else is stated. Sizes count only where durations are
    unknown: the same recording at another bit rate is no other audio.
    """
    if before.sha256 and now.sha256:
        if before.sha256 == now.sha256:
            return None
        return f"The file has changed{_grown(before.duration_s, now.duration_s)}."
    if before.duration_s and now.duration_s:
        allowed_s = max(_DURATION_S, _DURATION_SHARE * before.duration_s)
        if abs(now.duration_s - before.duration_s) <= allowed_s:
            return None
        return f"The length has changed{_grown(before.duration_s, now.duration_s)}."
    if before.size_bytes and now.size_bytes:
        if abs(now.size_bytes - before.size_bytes) <= _SIZE_SHARE * before.size_bytes:
            return None
        return f"The size has changed: {before.size_bytes:,} bytes, now {now.size_bytes:,}."
    return None


def _grown(before_s: float | None, now_s: float | None) -> str:
    if not before_s or not now_s:
        return ""
    return f": {before_s:,.1f} s, now {now_s:,.1f} s"
