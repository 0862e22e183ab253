"""A home with unfinished work, left by the code of an older commit, continues under this code."""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.old_home import OldWork, restore_home
from tests.system.test_outages import ask
from tests.ytcaption_assets.cli.up.test_up import Up

pytestmark = pytest.mark.model

COMMIT = "c502b87"
"""The last one with `resources` in one folder: its dagster.yaml names modules that have moved."""


@pytest.fixture(scope="module")
def old_home(model_home: Path) -> Iterator[tuple[Up, OldWork]]:
    """The old home, and an `up` that has not been started on it."""
    root = Path(tempfile.mkdtemp(prefix="ytcold", dir="/tmp"))  # short, as socket paths must be
    up = Up(
        root / "home",
        root,
        YTCAPTION_MODEL_DIRECTORY=str(model_home),
        YTCAPTION_MODEL="tiny.en",
        YTCAPTION_EMBEDDINGS="off",
    )
    try:
        yield up, restore_home(COMMIT, up.home)
    finally:
        up.end()
        shutil.rmtree(root)


def get(up: Up, path: str):
    status, text = ask(up, "GET", path)
    assert status == 200, text
    return json.loads(text) if text.startswith(("{", "[")) else text


@pytest.mark.slow
def test_an_old_home_continues(old_home: tuple[Up, OldWork]):
    """Its dagster.yaml is rewritten, all that was running or queued completes, and all that was
    there can be read and found."""
    up, work = old_home
    dagster_yaml = up.home / "dagster" / "dagster.yaml"
    assert "resources.dagster_storage" in dagster_yaml.read_text()
    up.start()
    text = dagster_yaml.read_text()
    assert "resources.orchestration.storage" in text
    for module in ("dagster_storage", "run_logs", "warm_run_launcher"):
        assert f"resources.{module}" not in text

    def all_completed() -> bool:
        time.sleep(1)
        answers = [get(up, f"/api/v1/transcriptions/{each}") for each in work.unfinished]
        states = {answer["status"] for answer in answers}
        errors = [(answer["status"], answer["error"]) for answer in answers]
        assert states <= {"queued", "running", "completed"}, errors
        return states == {"completed"}

    up.wait_for(all_completed, 240)
    assert get(up, f"/api/v1/transcriptions/{work.finished}/result?format=txt") == work.transcript
    assert get(up, f"/api/v1/transcriptions/{work.canceled}")["status"] == "canceled"
    assert [hit["transcription_id"] for hit in search(up, "dinosaurs")] == [work.finished]
    assert [hit["transcription_id"] for hit in search(up, "cabbage")] == [work.unfinished[0]]
    assert get(up, f"/api/v1/channels/{work.channel}")["paused"] is True
    secret = get(up, f"/api/v1/webhooks/{work.webhook}/secret")["secret"]
    assert secret == work.webhook_secret
    for command in (("doctor",), ("replay", "--check")):
        result = up.run(*command)
        assert result.returncode == 0, result.stdout


def search(up: Up, words: str) -> list[dict]:
    return get(up, f"/api/v1/search?q={words}")["items"]
