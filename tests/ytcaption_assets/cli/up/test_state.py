"""The state that `up` writes and other commands read."""

import io
import os
import resource
import subprocess
import sys
from dataclasses import replace

import psutil
from rich.console import Console

from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.process_output import ProcessOutput
from ytcaption_assets.cli.up.state import (
    ProcessState,
    StateFile,
    UpState,
    created_at,
    read_state,
    remove_state,
    write_state,
)


def state_of(pid: int) -> UpState:
    up = ProcessState("up", pid, created_at(pid))
    return UpState(up, (replace(up, name="api", restarts=2),), "127.0.0.1", 8000, None)


def test_it_is_read_as_written(tmp_path):
    """Processes, ports and restarts are the same."""
    state = state_of(os.getpid())
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state
    assert os.listdir(tmp_path) == ["up.json"]
    remove_state(tmp_path)
    assert read_state(tmp_path) is None


def test_a_killed_up_has_no_state(tmp_path):
    """Its file still exists, but its process does not."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    write_state(tmp_path, state_of(process.pid))
    assert read_state(tmp_path) is not None
    process.kill()
    process.wait()
    assert read_state(tmp_path) is None


def test_a_reused_pid_is_another_process(tmp_path):
    """They differ in their start time."""
    state = state_of(os.getpid())
    write_state(tmp_path, replace(state, up=replace(state.up, created_at=state.up.created_at - 60)))
    assert read_state(tmp_path) is None


def test_an_incomplete_file_is_no_state(tmp_path):
    """A power failure can leave one."""
    (tmp_path / "up.json").write_text('{"up": {"name"')
    assert read_state(tmp_path) is None


def test_a_full_disk_is_reported_and_the_file_written_later(tmp_path):
    """The state is written as soon as there is space."""
    text = io.StringIO()
    settings = Settings(_env_file=None, home=tmp_path)
    state = StateFile(ProcessOutput(Console(file=text), ["up"]), settings, webserver=False)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # the disk: EFBIG
    try:
        state.save([])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "up.json cannot be written" in text.getvalue()
    assert read_state(tmp_path) is None

    state.retry()

    written = read_state(tmp_path)
    assert written is not None and written.up.pid == os.getpid()


def test_a_clock_that_is_set_ends_no_process(tmp_path, monkeypatch):
    """The system computes starts from the time of the boot, which moves with the clock."""
    process = psutil.Process()
    before = process.create_time()
    write_state(tmp_path, state_of(os.getpid()))
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: before - 3_600)
    state = read_state(tmp_path)
    assert state is not None
    assert 0 < state.up.uptime_s < 86_400


def test_a_state_of_the_previous_release_is_read(tmp_path):
    """It has starts in seconds since 1970."""
    state = state_of(os.getpid())
    old = replace(state.up, created_at=psutil.Process().create_time())
    write_state(tmp_path, replace(state, up=old))
    assert read_state(tmp_path) is not None
