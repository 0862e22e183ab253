"""`ytcaption bench-model`: a table of measurements, or an error sentence."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ytcaption.domain.errors import SetupError
from ytcaption_assets.cli.main import app
from ytcaption_assets.cli.models import bench_model

pytestmark = pytest.mark.model


@pytest.fixture
def ytcaption(model_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that runs the command; no database is needed."""
    monkeypatch.setenv("YTCAPTION_HOME", str(tmp_path))
    monkeypatch.setenv("YTCAPTION_MODEL_DIRECTORY", str(model_home))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str):
        return CliRunner(env={"COLUMNS": "160"}).invoke(app, ["bench-model", *arguments])

    return run


@pytest.mark.slow
def test_both_engines_are_measured(ytcaption):
    """The table has load time, speed and memory of each, and the device."""
    result = ytcaption("tiny.en", "--seconds", "5")
    assert result.exit_code == 0, result.output
    rows = [re.split(r"\s*[│┃]\s*", line)[1:-1] for line in result.stdout.splitlines()]
    by_engine = {row[1]: row for row in rows if row and row[0] == "tiny.en"}
    assert set(by_engine) == {"sequential", "batched"}
    for row in by_engine.values():
        _, _, device, compute_type, load, speed, hour, memory = row
        assert device == "cpu" and compute_type
        assert 0 < float(load.removesuffix(" s")) < 60
        assert float(speed) > 0.5
        assert re.fullmatch(r"\d+:\d\d min", hour)
        assert re.fullmatch(r"\d+\.\d [MG]B", memory)
    assert "transcribing: tiny.en, batched" in result.stderr


@pytest.mark.slow
def test_a_model_that_cannot_be_measured_is_reported(ytcaption, monkeypatch):
    """The error is a sentence and the exit status is 1; the others are measured."""
    monkeypatch.setenv("YTCAPTION_COMPUTE_TYPE", "float3")
    result = ytcaption("tiny.en", "no-such-model", "--seconds", "5")
    assert result.exit_code == 1
    assert "YTCAPTION_COMPUTE_TYPE" in result.stderr
    assert "Unknown model 'no-such-model'" in result.stderr
    assert "Traceback" not in result.output


def test_a_measuring_process_that_dies_is_reported(monkeypatch):
    """The kernel may kill it for lack of memory."""
    monkeypatch.setattr(bench_model.sys, "executable", "/bin/false")
    with pytest.raises(SetupError, match="status 1"):
        bench_model._child("tiny.en", "batched", 5, lambda *_: None)
