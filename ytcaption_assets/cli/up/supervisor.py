"""Keeps a few processes running: starts them in order, restarts what dies, stops them all."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ytcaption_assets.cli.up.process_output import ProcessOutput
from ytcaption_assets.cli.up.programs import DEFAULT_POLICY, Policy, ProcessGaveUp, Program

_LIFELINE = Path(__file__).with_name("die_with_parent.py")
_TICK_S = 0.1
_CHECK_EVERY_S = 0.5
_WATCH_EVERY_S = 5.0


@dataclass
class Child:
    """A program and its process."""

    program: Program
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    ready_at: float | None = None
    was_ready: bool = False
    failures: int = 0
    restarts: int = 0
    start_at: float = 0.0
    check_at: float = 0.0
    stopping_at: float = 0.0
    readers: list[threading.Thread] = field(default_factory=list)


class Supervisor:
    """Runs in the main thread: a child ends with its starter's thread (see die_with_parent.py)."""

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        environment: Mapping[str, str],
        output: ProcessOutput,
        on_change: Callable[[Sequence[Child]], None] = lambda children: None,
        on_ready: Callable[[float], None] = lambda seconds: None,
        watch: Callable[[], None] = lambda: None,
        policy: Policy = DEFAULT_POLICY,
    ) -> None:
        """Starts nothing yet.

        Args:
            programs: in the order to start; they are stopped from the last to the first.
            environment: of every process, whole.
            output: gets their lines, and ours as `up`.
            on_change: called after each start and death.
            on_ready: called once, with the seconds it took, when all are ready.
            watch: called every 5 s.
            policy: times and counts.
        """
        self._children = [Child(program) for program in programs]
        self._environment = dict(environment)
        self._output = output
        self._on_change = on_change
        self._on_ready = on_ready
        self._watch = watch
        self._policy = policy
        self._stop_requests = 0

    def request_stop(self) -> None:
        """Ends `run`; asked again while it stops, kills. For signal handlers and other threads."""
        self._stop_requests += 1

    def run(self) -> None:
        """Until a stop is requested. No process is left when it returns or raises.

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
            if child.program.is_ready(child.started_at):
                child.ready_at, child.was_ready = now, True
                took_s = time.time() - child.started_at
                self._say(f"{child.program.name} is ready ({took_s:.1f} s)")
            elif time.time() - child.started_at > self._policy.start_s:
                if child.was_ready and not child.program.is_needed:
                    _signal_group(child.process, signal.SIGKILL)
                    return
                raise self._gave_up(child, f"was not ready after {self._policy.start_s:.0f} s")
            else:
                child.check_at = time.monotonic() + _CHECK_EVERY_S

    def _start(self, child: Child) -> None:
        lifeline = (sys.executable, "-I", "-S", str(_LIFELINE), str(os.getpid()))
        child.started_at = time.time()
        child.process = subprocess.Popen(
            [*lifeline, *child.program.arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in a terminal is ours to pass on, in order
        )
        assert child.process.stdout is not None
        child.readers.append(self._output.follow(child.program.name, child.process.stdout))
        child.check_at, child.ready_at = 0.0, None
        self._on_change(self._children)

    def _reap(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        lived_s = time.time() - child.started_at
        how = _ending(process.returncode)
        if child.program.ends_group:
            _signal_group(process, signal.SIGKILL)
        if not child.was_ready and process.returncode > 0:
            # A wrong installation: the same would happen again, only with more lines to read.
            raise self._gave_up(child, f"did not start: it {how}")
        child.failures = 1 if lived_s >= self._policy.steady_s else child.failures + 1
        step = min(child.failures, len(self._policy.backoff_s)) - 1
        pause_s = self._policy.backoff_s[step]
        if child.failures >= self._policy.max_failures:
            if child.program.is_needed or not child.was_ready:
                raise self._gave_up(
                    child, f"died {child.failures} times in a row; at last it {how}"
                )
            pause_s = self._policy.patience_s
        self._say(f"{child.program.name} {how}; it is started again in {pause_s:g} s")
        child.process, child.ready_at = None, None
        child.restarts += 1
        child.start_at = time.monotonic() + pause_s
        self._on_change(self._children)

    def _stop(self) -> None:
        self._say("stopping")
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
            # The whole group: runs are children of the code server, in its session.
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
        # As process 1 of a container we inherit orphans, and nobody else would bury them.
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
            reader.join(timeout=0.5)  # its last words may still be in the pipe
        lines = "\n".join(f"  {line}" for line in self._output.last_lines(child.program.name))
        return ProcessGaveUp(f"{child.program.name} {what}. Its last lines:\n{lines or '  (none)'}")

    def _say(self, line: str) -> None:
        self._output.write("up", line)


def _ending(returncode: int) -> str:
    if returncode >= 0:
        return f"ended with status {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was ended by signal {-returncode}"


def _signal_group(process: subprocess.Popen[bytes] | None, number: int) -> bool:
    """Whether the group still has a member; 0 only asks."""
    if process is None:
        return False
    process.poll()  # a zombie counts as a member
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # macOS gives the latter for a group of zombies
        return False
    return True
