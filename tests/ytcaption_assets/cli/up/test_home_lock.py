"""One `up` per home, and checks that the home is usable."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ytcaption.domain.errors import SetupError
from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up.home_lock import home_lock, is_up

HOLD = (
    "import sys, pathlib, time\n"
    "from ytcaption_assets.cli.up.home_lock import home_lock\n"
    "with home_lock(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


@pytest.mark.long
def test_a_second_up_is_refused_with_the_first_ones_pid(tmp_path):
    """Two `up` on one home would start two daemons and two code servers."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(SetupError, match=f"already runs on {tmp_path} as process {holder.pid}"),
            home_lock(tmp_path),
        ):
            pass
        assert is_up(Settings(home=tmp_path))
    finally:
        holder.kill()
        holder.communicate()
    assert not is_up(Settings(home=tmp_path))
    with home_lock(tmp_path):  # the kernel has released it
        pass


def test_the_lock_does_not_outlive_its_holder_in_a_child(tmp_path):
    """A child that survives a killed `up` must not block the next one."""
    code = "import time; print('started', flush=True); time.sleep(60)"
    with home_lock(tmp_path):
        child = subprocess.Popen(
            [sys.executable, "-c", code], close_fds=False, stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"started\n"
    try:
        with home_lock(tmp_path):
            pass
    finally:
        child.kill()
        child.communicate()


def test_the_home_is_closed_to_other_users(tmp_path):
    """It contains audio, transcripts and the database."""
    home = tmp_path / "new" / "home"
    with home_lock(home):
        assert home.stat().st_mode & 0o777 == 0o700
        assert os.listdir(home) == ["up.lock"]


def test_a_home_that_is_a_file_is_refused(tmp_path):
    """The error is one sentence with the setting to change."""
    home = tmp_path / "file"
    home.write_text("")
    with (
        pytest.raises(SetupError, match=r"cannot be written: .*Set YTCAPTION_HOME"),
        home_lock(home),
    ):
        pass


def test_a_home_on_a_read_only_file_system_is_refused():
    """/proc stands in for a read-only disk, for root, too."""
    home = Path("/proc/self/ytcaption")
    with (
        pytest.raises(SetupError, match=r"cannot be written: .*Set YTCAPTION_HOME"),
        home_lock(home),
    ):
        pass
