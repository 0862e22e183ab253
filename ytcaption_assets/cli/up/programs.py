"""What a supervisor keeps running, and how."""

from collections.abc import Callable
from dataclasses import dataclass

from ytcaption.domain.errors import YtcaptionError


@dataclass(frozen=True)
class Program:
    """A process to keep running.

    Attributes:
        name: marks its lines.
        arguments: what to execute; the first is an absolute path.
        is_ready: told when it was started (seconds since 1970), whether it answers.
        after: programs that must have been ready before this one starts.
        stop_s: how long it may take to stop before the next one is asked to.
        has_work: told its process number, whether killing it after `stop_s` would cut work short;
            if so it has until the end of the policy's `stop_s`.
        is_needed: where it was ready once and cannot be kept running, everything ends. Else the
            others go on, and it is tried again for as long as it takes.
        ends_group: what it has started does not outlive it: another one could not take its port.
    """

    name: str
    arguments: tuple[str, ...]
    is_ready: Callable[[float], bool]
    after: tuple[str, ...] = ()
    stop_s: float = 3.0
    has_work: Callable[[int], bool] = lambda pid: True
    ends_group: bool = False
    is_needed: bool = True


@dataclass(frozen=True)
class Policy:
    """Seconds and counts of the supervision.

    Attributes:
        backoff_s: pauses before the restarts of a process that keeps dying; the last one repeats.
        max_failures: so many deaths in a row end everything, or are followed by longer pauses.
        patience_s: those pauses, of a program that is not needed.
        steady_s: a process that lived so long starts its row anew.
        start_s: longest time until a process is ready.
        stop_s: after so long everything that still runs is killed.
    """

    backoff_s: tuple[float, ...] = (1.0, 3.0, 7.0)
    patience_s: float = 30.0
    max_failures: int = 5
    steady_s: float = 60.0
    start_s: float = 180.0
    stop_s: float = 10.0


DEFAULT_POLICY = Policy()


class ProcessGaveUp(YtcaptionError):
    """A process that cannot be kept running; its last lines are in the message."""

    code = "process_gave_up"
