"""Convert the time expressions of TTML to seconds (W3C TTML2, section 12.3)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_CLOCK = re.compile(r"(\d{1,6}):(\d{2}):(\d{2})(?:\.(\d{1,9})|:(\d{2,6})(?:\.(\d{1,9}))?)?")
_OFFSET = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(h|m|s|ms|f|t)?")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True)
class TimeParameters:
    """The timing attributes of a document.

    Attributes:
        frame_rate: frames a second, the multiplier included.
        nominal_rate: frames that a clock counts per second.
        is_smpte: the clock counts frames from the start, so its seconds are as long as those
            frames.
        drop: frame numbers that such a clock leaves out: `dropNTSC`, `dropPAL` or none.
    """

    frame_rate: float = 30.0
    nominal_rate: float = 30.0
    sub_frame_rate: float = 1.0
    tick_rate: float = 1.0
    is_smpte: bool = False
    drop: str = "nonDrop"

    @classmethod
    def of(cls, attributes: Mapping[str, str]) -> "TimeParameters":
        """Read the attributes of `tt`, given without namespaces; values that are no numbers are
        ignored."""
        given = _number(attributes.get("frameRate"))
        nominal = given or 30.0
        factors = re.split(r"[\s:]+", attributes.get("frameRateMultiplier", "").strip())
        above, below = (_number(factors[place]) for place in (0, -1))
        multiplier = above / below if above and below and len(factors) == 2 else 1.0
        sub_frames = _number(attributes.get("subFrameRate")) or 1.0
        ticks = _number(attributes.get("tickRate")) or (nominal * sub_frames if given else 1.0)
        return cls(
            frame_rate=nominal * multiplier,
            nominal_rate=nominal,
            sub_frame_rate=sub_frames,
            tick_rate=ticks,
            is_smpte=attributes.get("timeBase") == "smpte",
            drop=attributes.get("dropMode", "nonDrop"),
        )

    def seconds(self, text: str | None) -> float | None:
        """Return the seconds of `00:00:01.5`, `00:00:01:12`, `00:00:01:12.1`, `1.5s`, `90f`, `15t`,
        ...

        A bare number is seconds. Returns None for other expressions, such as `wallclock(...)`.
        """
        if text is None:
            return None
        if clock := _CLOCK.fullmatch(text.strip()):
            return self._clock(clock)
        offset = _OFFSET.fullmatch(text.strip())
        if offset is None:
            return None
        number, metric = float(offset[1]), offset[2] or "s"
        if metric == "f":
            return number / self.frame_rate
        return number / self.tick_rate if metric == "t" else number * _SECONDS[metric]

    def _clock(self, clock: re.Match[str]) -> float:
        hours, minutes, whole = (int(clock[place]) for place in (1, 2, 3))
        seconds_s = hours * 3600 + minutes * 60 + whole + float(f"0.{clock[4] or 0}")
        frames = int(clock[5] or 0) + int(clock[6] or 0) / self.sub_frame_rate
        if not self.is_smpte:
            return seconds_s + frames / self.frame_rate
        dropped = 0
        if self.drop == "dropNTSC":
            dropped = 2 * (hours * 54 + minutes - minutes // 10)
        elif self.drop == "dropPAL":
            dropped = 4 * (hours * 27 + minutes // 2 - minutes // 20)
        return (seconds_s * self.nominal_rate + frames - dropped) / self.frame_rate


def _number(text: str | None) -> float | None:
    """Return a positive number of at most twelve digits; None for anything else."""
    if text is None or not re.fullmatch(r"\d{1,12}(\.\d{1,6})?", text.strip()):
        return None
    return float(text) or None
