"""The supervisor keeps processes running and leaves none behind."""

import dataclasses
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from tests.support.patience import wait_for
from ytcaption_assets.cli.up import supervisor
from ytcaption_assets.cli.up.orphans import MARK, end_orphans, group_members, orphan_processes
from ytcaption_assets.cli.up.process_output import ProcessOutput
from ytcaption_assets.cli.up.supervisor import Policy, ProcessGaveUp, Program, Supervisor

QUICK = Policy(backoff_s=(0.05,), max_failures=3, steady_s=30, start_s=5, stop_s=1)
SLEEP = "import time; print('up', flush=True); time.sleep(60)"


class Harness:
    """A supervisor over small Python programs, in this thread; a helper thread acts on it."""

    def __init__(self, home: Path, programs: list[Program], policy: Policy = QUICK) -> None:
        self.text = io.StringIO()
        self.home = home
        self.pids: dict[str, list[int]] = {}
        self.ready = threading.Event()
        output = ProcessOutput(Console(file=self.text), ["up", *(each.name for each in programs)])
        self.supervisor = Supervisor(
            programs,
            environment={**os.environ, MARK: str(home)},
            output=output,
            on_change=self._changed,
            on_ready=lambda seconds: self.ready.set(),
            policy=policy,
        )

    def _changed(self, children) -> None:
        for child in children:
            if child.process is not None:
                pids = self.pids.setdefault(child.program.name, [])
                if child.process.pid not in pids:
                    pids.append(child.process.pid)

    def run(self, act) -> float:
        """Run, call `act` in another thread when all are ready, and return the seconds to stop."""
        stopped_at = []

        def helper() -> None:
            try:
                assert self.ready.wait(10)
                act()
            finally:
                stopped_at.append(time.monotonic())
                self.supervisor.request_stop()

        thread = threading.Thread(target=helper)
        thread.start()
        self.supervisor.run()
        took_s = time.monotonic() - stopped_at[0]
        thread.join()
        return took_s

    def wait_for(self, condition) -> None:
        wait_for(condition, 10, self.text.getvalue)


def python(name: str, code: str, **options) -> Program:
    return Program(name, (sys.executable, "-c", code), lambda started_at: True, **options)


def test_a_killed_process_is_restarted(tmp_path):
    """After SIGKILL there is a new process with a new pid, and a message."""
    harness = Harness(tmp_path, [python("one", SLEEP)])

    def act() -> None:
        os.kill(harness.pids["one"][0], signal.SIGKILL)
        harness.wait_for(lambda: len(harness.pids["one"]) == 2)

    harness.run(act)
    assert "one was ended by SIGKILL; restarting in 0.05 s" in harness.text.getvalue()
    assert not orphan_processes(tmp_path)


@pytest.mark.slow
def test_children_of_a_killed_process_are_killed_if_the_program_says_so(tmp_path):
    """Workers of a server would occupy its port; runs of the code server continue."""
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    programs = [python("server", code, ends_group=True), python("keeper", code)]
    harness = Harness(tmp_path, programs)
    workers: dict[str, int] = {}

    def act() -> None:
        harness.wait_for(lambda: len(re.findall(r"│ \d+$", harness.text.getvalue(), re.M)) == 2)
        for name in ("server", "keeper"):
            match = re.search(rf"{name} +│ (\d+)", harness.text.getvalue())
            assert match
            workers[name] = int(match[1])
            os.kill(harness.pids[name][0], signal.SIGKILL)
            harness.wait_for(lambda name=name: len(harness.pids[name]) == 2)

        def alive() -> set[int]:
            return {process.pid for process in orphan_processes(tmp_path)}

        harness.wait_for(lambda: workers["server"] not in alive())
        assert workers["keeper"] in alive()

    harness.run(act)
    for process in orphan_processes(tmp_path):
        process.kill()


@pytest.mark.slow
def test_others_continue_without_a_program_that_is_not_needed(tmp_path):
    """It is restarted for as long as it takes, with longer pauses."""
    dying = python("dying", "import os, time; time.sleep(.2); os.abort()", is_needed=False)
    harness = Harness(
        tmp_path, [python("one", SLEEP), dying], dataclasses.replace(QUICK, patience_s=0.3)
    )
    harness.run(lambda: harness.wait_for(lambda: len(harness.pids["dying"]) == 6))
    assert len(harness.pids["one"]) == 1
    assert "restarting in 0.3 s" in harness.text.getvalue()


@pytest.mark.long
def test_a_process_that_keeps_dying_ends_everything_with_its_last_lines(tmp_path):
    """After the allowed failures in a row the others are stopped; the error has the reason."""
    dying = python(
        "dying", "import os, time; print('no luck', flush=True); time.sleep(.3); os.abort()"
    )
    harness = Harness(tmp_path, [python("one", SLEEP), dying])
    with pytest.raises(ProcessGaveUp, match=r"dying died 3 times in a row(.|\n)*no luck"):
        harness.supervisor.run()
    assert len(harness.pids["dying"]) == 3
    assert not orphan_processes(tmp_path)


def test_a_process_that_cannot_start_is_not_restarted(tmp_path):
    """If it exits before it was ever ready, the installation is wrong."""
    broken = Program(
        "broken", (sys.executable, "-c", "import no_such_module"), lambda started_at: False
    )
    harness = Harness(tmp_path, [python("one", SLEEP), broken])
    with pytest.raises(ProcessGaveUp, match="No module named 'no_such_module'"):
        harness.supervisor.run()
    assert len(harness.pids["broken"]) == 1
    assert not orphan_processes(tmp_path)


@pytest.mark.long
def test_a_process_that_never_answers_ends_everything(tmp_path):
    """Readiness has a time limit."""
    silent = Program("silent", (sys.executable, "-c", SLEEP), lambda started_at: False)
    harness = Harness(tmp_path, [silent], Policy(start_s=0.5, stop_s=1))
    with pytest.raises(ProcessGaveUp, match="silent was not ready"):
        harness.supervisor.run()
    assert not orphan_processes(tmp_path)


def test_processes_start_in_order_and_stop_in_reverse(tmp_path):
    """A program that depends on another starts after it and is stopped before it."""
    log = tmp_path / "order"
    code = (
        "import signal, sys, time\n"
        f"log = open({str(log)!r}, 'a', buffering=1)\n"
        "def end(*_): log.write(f'-{sys.argv[1]}\\n'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end); log.write(f'+{sys.argv[1]}\\n'); time.sleep(60)"
    )

    def program(name: str, **options) -> Program:
        return Program(
            name,
            (sys.executable, "-c", code, name),
            lambda _: log.exists() and f"+{name}\n" in log.read_text(),
            **options,
        )

    harness = Harness(tmp_path, [program("first"), program("second", after=("first",))])
    harness.run(lambda: None)
    assert log.read_text().split() == ["+first", "+second", "-second", "-first"]


@pytest.mark.long
def test_a_process_that_ignores_sigterm_is_killed_with_its_children(tmp_path):
    """After the time to stop SIGKILL goes to the process group."""
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "time.sleep(60)"
    )
    harness = Harness(tmp_path, [python("deaf", code)])
    took_s = harness.run(lambda: harness.wait_for(lambda: len(orphan_processes(tmp_path)) == 2))
    assert 0.9 < took_s < 3
    assert not orphan_processes(tmp_path)


def test_a_process_without_work_is_not_waited_for(tmp_path):
    """A process that only waits, such as an idle server, is killed after its own time to stop."""
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
    idle = python("idle", code, stop_s=0.3, has_work=lambda pid: bool(group_members(pid)))
    assert Harness(tmp_path, [idle], Policy(stop_s=30)).run(lambda: time.sleep(0.5)) < 3
    assert not orphan_processes(tmp_path)


@pytest.mark.slow
def test_work_in_the_group_gets_the_whole_time_to_end(tmp_path):
    """A run that is still writing is not interrupted with its server."""
    done = tmp_path / "done"
    run = (
        "import signal, time\n"
        "def end(*_):\n"
        f"    time.sleep(1); open({str(done)!r}, 'w').close(); raise SystemExit\n"
        "signal.signal(15, end); print('run', flush=True); time.sleep(60)"
    )
    server = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(15, signal.SIG_IGN)\n"
        f"subprocess.Popen([sys.executable, '-c', {run!r}])\n"
        "time.sleep(60)"
    )
    working = python("server", server, stop_s=0.2, has_work=lambda pid: bool(group_members(pid)))
    harness = Harness(tmp_path, [working], Policy(stop_s=10))
    took_s = harness.run(
        lambda: harness.wait_for(lambda: "server │ run" in harness.text.getvalue())
    )
    assert done.exists()
    assert 1 < took_s < 5
    assert not orphan_processes(tmp_path)


def test_a_second_stop_request_does_not_wait(tmp_path):
    """The second Ctrl-C kills immediately."""
    deaf = f"import signal; signal.signal(15, signal.SIG_IGN); {SLEEP}"
    harness = Harness(tmp_path, [python("deaf", deaf)], Policy(stop_s=30))

    def act() -> None:
        harness.wait_for(lambda: "deaf │ up" in harness.text.getvalue())
        threading.Timer(0.5, harness.supervisor.request_stop).start()

    assert harness.run(act) < 3


def test_children_handle_sigint_even_if_the_supervisor_ignores_it(tmp_path):
    """A shell's `&` ignores SIGINT; if that were inherited, Dagster would ignore SIGTERM, too."""
    code = "import signal, time; print(signal.getsignal(signal.SIGINT), flush=True); time.sleep(60)"
    harness = Harness(tmp_path, [python("one", code)])
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        harness.run(lambda: harness.wait_for(lambda: "one │ <" in harness.text.getvalue()))
    finally:
        signal.signal(signal.SIGINT, before)
    assert "default_int_handler" in harness.text.getvalue()


def test_children_end_when_the_supervisor_is_killed(tmp_path):
    """They receive SIGTERM when the supervisor dies."""
    code = f"""
import os, sys
from rich.console import Console
from ytcaption_assets.cli.up.process_output import ProcessOutput
from ytcaption_assets.cli.up.supervisor import Program, Supervisor
sleep = "print('runs', flush=True); import time; time.sleep(60)"
one = Program("one", (sys.executable, "-c", sleep), lambda _: False)
Supervisor([one], environment=dict(os.environ, {MARK}={str(tmp_path)!r}),
           output=ProcessOutput(Console(), ["one", "up"])).run()
"""
    supervisor = psutil.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    assert (
        supervisor.stdout.readline() == "one │ runs\n"
    )  # die_with_parent.py has become the program
    assert orphan_processes(tmp_path)
    supervisor.kill()
    supervisor.communicate()
    wait_for(lambda: not orphan_processes(tmp_path), 10)


def test_orphans_in_other_sessions_are_ended(tmp_path):
    """Every process with the mark is found, in any session, and no other process."""
    ignore = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
    marked = [
        psutil.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, MARK: str(tmp_path)},
            start_new_session=True,
        )
        for code in ("import time; time.sleep(60)", ignore)
    ]
    other = psutil.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"],
        env={**os.environ, MARK: str(tmp_path / "another")},
    )
    try:
        wait_for(lambda: len(orphan_processes(tmp_path)) == 2, 5)
        time.sleep(0.3)  # until the second ignores SIGTERM
        assert end_orphans(tmp_path, patience_s=0.3) == 2
        assert not orphan_processes(tmp_path)
        assert other.is_running()
        assert [process.wait() for process in marked] == [-signal.SIGTERM, -signal.SIGKILL]
    finally:
        for process in (*marked, other):
            if process.is_running():
                process.kill()
            process.wait()


def test_a_process_that_answers_and_does_not_work_is_restarted(tmp_path, monkeypatch):
    """After a while; one of which nothing is known is left alone."""
    monkeypatch.setattr(supervisor, "_LOOK_EVERY_S", 0.05)
    programs = [
        python("stuck", SLEEP, is_working=lambda: False),
        python("unknown", SLEEP, is_working=lambda: None),
        python("hanging", SLEEP, is_working=lambda: time.sleep(60)),
    ]
    harness = Harness(tmp_path, programs, dataclasses.replace(QUICK, stuck_s=0.3))

    harness.run(lambda: harness.wait_for(lambda: len(harness.pids["stuck"]) == 2))

    assert "stuck answers, but does not work" in harness.text.getvalue()
    assert len(harness.pids["unknown"]) == len(harness.pids["hanging"]) == 1


def test_a_supervisor_that_stood_still_judges_nobody(tmp_path, monkeypatch):
    """As after SIGSTOP: that nothing was seen to work meanwhile says nothing."""
    monkeypatch.setattr(supervisor, "_LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(supervisor, "_WATCH_EVERY_S", 0.0)
    looks = []
    program = python("one", SLEEP, is_working=lambda: looks.append(None) or True)
    harness = Harness(tmp_path, [program], dataclasses.replace(QUICK, stuck_s=0.3))
    harness.supervisor._watch = lambda: time.sleep(0.5)
    harness.run(lambda: harness.wait_for(lambda: len(looks) > 3))
    assert len(harness.pids["one"]) == 1
