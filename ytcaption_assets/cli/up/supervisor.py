"""Keeps processes running: starts them in order, restarts those that die, stops them all."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ytcaption.domain.errors import YtcaptionError
from ytcaption.settings.secret_variables import only_secrets
from ytcaption_assets.cli.up.process_output import ProcessOutput

_DIE_WITH_PARENT = Path(__file__).with_name("die_with_parent.py")
_TICK_S = 0.1
_CHECK_EVERY_S = 0.5
_WATCH_EVERY_S = 5.0
_LOOK_EVERY_S = 15.0


@dataclass(frozen=True)
class Program:
    """A process to keep running.

    Attributes:
        name: prefix of its lines.
        arguments: the command; the first is an absolute path.
        is_ready: returns whether it answers, given the seconds since its start.
        after: programs that must have been ready once before this one starts.
        stop_s: time to stop before the next program is stopped.
        has_work: returns whether killing the process with this pid after `stop_s` would interrupt
            work; if so it has until the end of the policy's `stop_s`.
        is_needed: if it cannot be kept running after having been ready, everything ends. Otherwise
            the others continue, and it is restarted for as long as it takes.
        is_working: returns whether it does its work, although it may answer; None if that is
            unknown. It is restarted after `policy.stuck_s` without.
        ends_group: kill the processes that it has started when it ends, because they would occupy
            its port.
        secrets: names of the variables of `SECRETS` that its environment holds.
    """

    name: str
    arguments: tuple[str, ...]
    is_ready: Callable[[float], bool]
    after: tuple[str, ...] = ()
    stop_s: float = 3.0
    has_work: Callable[[int], bool] = lambda pid: True
    is_working: Callable[[], bool | None] = lambda: None
    ends_group: bool = False
    is_needed: bool = True
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Policy:
    """Times and counts of the supervision.

    Attributes:
        backoff_s: pauses before restarts of a process that keeps dying; the last one repeats.
        patience_s: longer pauses after `max_failures` of a program that is not needed.
        max_failures: deaths in a row that end everything, or lead to longer pauses.
        steady_s: a process that has run this long has no failures in a row.
        start_s: longest time until a process is ready.
        stuck_s: longest time that a process is ready and does not work.
        stop_s: time to stop before all processes are killed.
    """

    backoff_s: tuple[float, ...] = (1.0, 3.0, 7.0)
    patience_s: float = 30.0
    max_failures: int = 5
    steady_s: float = 60.0
    start_s: float = 180.0
    stuck_s: float = 180.0
    stop_s: float = 10.0


DEFAULT_POLICY = Policy()


class ProcessGaveUp(YtcaptionError):
    """A process cannot be kept running; the message contains its last lines."""

    code = "process_gave_up"


@dataclass
class Child:
    """A program and the state of its process."""

    program: Program
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0  # as all times here by time.monotonic(), which nothing sets
    ready_at: float | None = None
    was_ready: bool = False
    failures: int = 0
    restarts: int = 0
    start_at: float = 0.0
    check_at: float = 0.0
    looked_at: float = 0.0
    idle_since: float | None = None  # while every look has found that it does not work
    looking: threading.Thread | None = None
    stopping_at: float = 0.0
    readers: list[threading.Thread] = field(default_factory=list)


class Supervisor:
    """Supervises programs; runs in the main thread, because children end with the thread that
    started them (see die_with_parent.py)."""

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        environment: Mapping[str, str],
        output: ProcessOutput,
        directory: Path | None = None,
        on_change: Callable[[Sequence[Child]], None] = lambda children: None,
        on_ready: Callable[[float], None] = lambda seconds: None,
        watch: Callable[[], None] = lambda: None,
        policy: Policy = DEFAULT_POLICY,
    ) -> None:
        """Start nothing yet.

        Args:
            programs: in the order to start; they are stopped in the reverse order.
            environment: of which each process gets all but the secrets that it does not need.
            output: receives their lines, and our own as `up`.
            directory: working folder of every process; by default this process's.
            on_change: called after each start and death.
            on_ready: called once when all are ready, with the seconds that it took.
            watch: called every 5 s.
            policy: times and counts.
        """
        self._children = [Child(program) for program in programs]
        self._environment = dict(environment)
        self._output = output
        self._directory = directory
        self._on_change = on_change
        self._on_ready = on_ready
        self._watch = watch
        self._policy = policy
        self._stop_requests = 0

    def request_stop(self) -> None:
        """End `run`; a second request kills. Can be called by signal handlers and other threads."""
        self._stop_requests += 1

    def run(self) -> None:
        """Supervise until a stop is requested. No process is left when it returns or raises.

        Raises:
            ProcessGaveUp: a process died too often, or did not start.
        """
        began, all_ready, watch_at = time.monotonic(), False, 0.0
        try:
            while not self._stop_requests:
                for child in self._children:
                    self._tend(child)
                if not all_ready and all(child.ready_at is not None for child in self._children):
                    all_ready = True
                    self._on_ready(time.monotonic() - began)
                self._reap_orphans()
                if time.monotonic() >= watch_at:
                    self._watch()
                    watch_at = time.monotonic() + _WATCH_EVERY_S
                time.sleep(_TICK_S)
        finally:
            self._stop()

    def _tend(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is None:
            ready = {each.program.name for each in self._children if each.was_ready}
            if now >= child.start_at and ready.issuperset(child.program.after):
                self._start(child)
        elif child.process.poll() is not None:
            self._reap(child, child.process)
        elif child.ready_at is None and now >= child.check_at:
            took_s = now - child.started_at
            if child.program.is_ready(took_s):
                child.ready_at, child.was_ready = now, True
                child.looked_at, child.idle_since = now, None
                self._print(f"{child.program.name} is ready ({took_s:.1f} s)")
            elif took_s > self._policy.start_s:
                if child.was_ready and not child.program.is_needed:
                    _signal_group(child.process, signal.SIGKILL)
                    return
                raise self._gave_up(child, f"was not ready after {self._policy.start_s:.0f} s")
            else:
                child.check_at = time.monotonic() + _CHECK_EVERY_S
        elif child.ready_at is not None and now >= child.check_at:
            self._look(child, child.process)

    def _look(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        """Look, on a thread, whether a process works, and end one that has not for long."""
        now = time.monotonic()
        since_s, child.looked_at = now - child.looked_at, now
        child.check_at = now + _LOOK_EVERY_S
        if child.looking is not None and child.looking.is_alive():
            child.idle_since = None  # what is asked hangs, and so nothing is known
            return
        if since_s > self._policy.stuck_s:
            child.idle_since = None  # this process itself stood still
        elif child.idle_since is not None and now - child.idle_since > self._policy.stuck_s:
            self._print(f"{child.program.name} answers, but does not work; it is ended")
            _signal_group(process, signal.SIGKILL)
            return

        def look() -> None:
            if child.program.is_working() is not False:
                child.idle_since = None
            elif child.idle_since is None:
                child.idle_since = now

        child.looking = threading.Thread(target=look, name="look", daemon=True)
        child.looking.start()

    def _start(self, child: Child) -> None:
        launcher = (sys.executable, "-I", "-S", str(_DIE_WITH_PARENT), str(os.getpid()))
        child.started_at = time.monotonic()
        child.process = subprocess.Popen(
            [*launcher, *child.program.arguments],
            cwd=self._directory,
            env=only_secrets(self._environment, child.program.secrets),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C must reach `up` only, which stops them in order
        )
        assert child.process.stdout is not None
        child.readers.append(self._output.follow(child.program.name, child.process.stdout))
        child.check_at, child.ready_at = 0.0, None
        self._on_change(self._children)

    def _reap(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        lived_s = time.monotonic() - child.started_at
        ending = _ending(process.returncode)
        if child.program.ends_group:
            _signal_group(process, signal.SIGKILL)
        if not child.was_ready and process.returncode > 0:
            # The installation is wrong, and a restart would fail in the same way.
            raise self._gave_up(child, f"did not start: it {ending}")
        child.failures = 1 if lived_s >= self._policy.steady_s else child.failures + 1
        step = min(child.failures, len(self._policy.backoff_s)) - 1
        pause_s = self._policy.backoff_s[step]
        if child.failures >= self._policy.max_failures:
            if child.program.is_needed or not child.was_ready:
                raise self._gave_up(
                    child, f"died {child.failures} times in a row; the last time it {ending}"
                )
            pause_s = self._policy.patience_s
        self._print(f"{child.program.name} {ending}; restarting in {pause_s:g} s")
        child.process, child.ready_at = None, None
        child.restarts += 1
        child.start_at = time.monotonic() + pause_s
        self._on_change(self._children)

    def _stop(self) -> None:
        self._print("stopping")
        force_at = self._stop_requests + 1
        kill_at = time.monotonic() + self._policy.stop_s
        running = [child for child in self._children if child.process is not None]
        remaining: list[Child] = []

        def wait(until: float) -> None:
            while time.monotonic() < until and self._stop_requests < force_at:
                remaining[:] = [child for child in remaining if self._still_stops(child)]
                if not remaining:
                    return
                time.sleep(_TICK_S / 2)

        for child in reversed(running):
            # Signal the whole group: runs are children of the code server, in its session.
            _signal_group(child.process, signal.SIGTERM)
            child.stopping_at = time.monotonic()
            remaining.append(child)
            wait(min(kill_at, child.stopping_at + child.program.stop_s))
        wait(kill_at)
        for child in remaining:
            _signal_group(child.process, signal.SIGKILL)
        for child in running:
            assert child.process is not None
            child.process.wait()
            for reader in child.readers:
                reader.join(timeout=1.0)

    def _still_stops(self, child: Child) -> bool:
        assert child.process is not None
        late = time.monotonic() >= child.stopping_at + child.program.stop_s
        if late and not child.program.has_work(child.process.pid):
            _signal_group(child.process, signal.SIGKILL)
        return _signal_group(child.process, 0)

    def _reap_orphans(self) -> None:
        # As process 1 of a container we inherit orphans, which nobody else would reap.
        ours = {child.process.pid for child in self._children if child.process is not None}
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None or ended.si_pid in ours:
                return
            os.waitpid(ended.si_pid, os.WNOHANG)

    def _gave_up(self, child: Child, what: str) -> ProcessGaveUp:
        for reader in child.readers:
            reader.join(timeout=0.5)  # its last lines may still be in the pipe
        lines = "\n".join(f"  {line}" for line in self._output.last_lines(child.program.name))
        return ProcessGaveUp(f"{child.program.name} {what}. Its last lines:\n{lines or '  (none)'}")

    def _print(self, line: str) -> None:
        self._output.write("up", line)


def _ending(returncode: int) -> str:
    if returncode >= 0:
        return f"ended with status {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was ended by signal {-returncode}"


def _signal_group(process: subprocess.Popen[bytes] | None, number: int) -> bool:
    """Signal a process group and return whether it has members; signal 0 only checks."""
    if process is None:
        return False
    process.poll()  # a zombie counts as a member
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # macOS raises the latter for a group of zombies
        return False
    return True
