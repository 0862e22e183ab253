"""The workers that `ytcaption up` starts."""

import sys

from ytcaption.settings.settings import Settings
from ytcaption_assets.cli.up import program_list as up_programs
from ytcaption_assets.cli.up.worker import visible_gpu


def test_one_worker_per_gpu(tmp_path, monkeypatch):
    """Each has its own GPU; there is one on the CPU, and none if workers are off."""
    settings = Settings(home=tmp_path, _env_file=None)  # pyright: ignore[reportCallIssue]
    monkeypatch.setattr(up_programs, "gpu_count", lambda: 2)
    first, second = up_programs.worker_programs(settings)
    assert (first.name, second.name) == ("worker-0", "worker-1")
    assert second.arguments[0] == sys.executable
    assert second.arguments[-5:] == ("worker", "--number", "1", "--gpu", "1")
    [only] = up_programs.worker_programs(settings.changed(device="cpu"))
    assert only.arguments[-3:] == ("worker", "--number", "0")
    assert not only.is_needed
    assert not only.is_ready(0.0)
    assert up_programs.worker_programs(settings.changed(worker="off")) == []


def test_a_gpu_is_one_of_the_visible_ones(monkeypatch):
    """An operator may have hidden others."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert visible_gpu(1) == "1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    assert visible_gpu(1) == "5"
