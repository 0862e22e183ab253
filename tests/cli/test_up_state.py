"""What runs, as `up` writes it and others read it."""

import os
import subprocess
import sys
from dataclasses import replace

from ytcaption_assets.cli.up_state import (
    ProcessState,
    UpState,
    created_at,
    read_state,
    remove_state,
    write_state,
)


def state_of(pid: int) -> UpState:
    up = ProcessState("up", pid, created_at(pid))
    return UpState(up, (replace(up, name="api", restarts=2),), "127.0.0.1", 8000, None)


def test_it_is_read_as_it_was_written(tmp_path):
    """Processes, ports and restarts come back."""
    state = state_of(os.getpid())
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state
    assert os.listdir(tmp_path) == ["up.json"]
    remove_state(tmp_path)
    assert read_state(tmp_path) is None


def test_a_killed_up_does_not_run(tmp_path):
    """Its file is still there, but its process is not."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    write_state(tmp_path, state_of(process.pid))
    assert read_state(tmp_path) is not None
    process.kill()
    process.wait()
    assert read_state(tmp_path) is None


def test_a_process_number_that_is_used_again_is_another_process(tmp_path):
    """The start time tells them apart."""
    state = state_of(os.getpid())
    write_state(tmp_path, replace(state, up=replace(state.up, created_at=state.up.created_at - 60)))
    assert read_state(tmp_path) is None


def test_a_torn_file_is_no_state(tmp_path):
    """Written by a machine that lost its power, say."""
    (tmp_path / "up.json").write_text('{"up": {"name"')
    assert read_state(tmp_path) is None
