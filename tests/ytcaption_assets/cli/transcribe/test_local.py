"""`ytcaption transcribe` as users run it: the real command, in its own home."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pysubs2
import pytest

from tests.support.servers.media_server import (
    DATA,
    MediaServer,
)
from tests.support.servers.otlp_receiver import OtlpReceiver

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, model_home: Path):
    """Return a function that runs the command; all tests of this file share one home."""
    folder = tmp_path_factory.mktemp("transcribe")
    environment = {name: v for name, v in os.environ.items() if not name.startswith("YTCAPTION_")}
    environment |= {
        "YTCAPTION_HOME": str(folder / "home"),
        "YTCAPTION_MODEL_DIRECTORY": str(model_home),
        "YTCAPTION_MODEL": "tiny.en",
        "YTCAPTION_ALLOWED_NETWORKS": "127.0.0.0/8",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ytcaption_assets.cli.main", *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )

    run.folder = folder  # pyright: ignore[reportFunctionMemberAccess]
    run.environment = environment  # pyright: ignore[reportFunctionMemberAccess]
    return run


@pytest.mark.long
def test_the_sample_is_transcribed_and_then_read_from_the_store(command):
    """The transcript goes to standard output, the files' names to standard error."""
    first = command("transcribe")
    assert first.returncode == 0, first.stderr
    assert "your country" in first.stdout
    (srt,) = (command.folder / "captions").glob("*.srt")
    assert str(srt.name) in first.stderr
    assert "your country" in " ".join(line.text for line in pysubs2.load(str(srt)))
    (document,) = (command.folder / "captions").glob("*.json")
    assert json.loads(document.read_text(encoding="utf-8"))["language"] == "en"
    again = command("transcribe", "--format", "txt", "--output", "elsewhere")
    assert again.returncode == 0 and "from the store" in again.stderr
    assert again.stdout == first.stdout
    assert [path.suffix for path in (command.folder / "elsewhere").iterdir()] == [".txt"]


@pytest.mark.slow
def test_failures_are_reported_and_other_sources_transcribed(command):
    """The exit status is 1; each failure has its reason and no traceback."""
    with MediaServer() as server:
        result = command(
            "transcribe",
            server.url("weather-mulaw-8k.wav"),
            server.url("status/404"),
            str(DATA / "broken-empty.wav"),
            "no-such-file.mp3",
        )
    assert result.returncode == 1
    assert "weather" in result.stdout.lower()
    assert result.stderr.count("failed ") >= 3 and "Traceback" not in result.stderr
    assert "is empty" in result.stderr and "There is no file" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("transcribe", "--model", "huge"), "Unknown model 'huge'"),
        (("transcribe", "--language", "klingon"), "Unknown language"),
        (("transcribe", "--format", "docx"), "Unknown format"),
        (("transcribe", "--task", "sing"), "Unknown task"),
        (("transcribe", "--nonsense"), "No such option"),
        (("models", "fetch", "huge"), "Unknown model"),
    ],
)
def test_wrong_usage_is_status_2_and_one_sentence(command, arguments, message):
    """It is reported before anything is started."""
    result = command(*arguments)
    assert result.returncode == 2
    assert message in result.stderr and "Traceback" not in result.stderr


@pytest.mark.slow
def test_transcripts_can_be_queried_by_sql(command):
    """The transcript of the test above is in the lake once."""
    result = command("sql", "--csv", "select count(*) as n from transcripts where word_count > 15")
    assert (result.returncode, result.stdout) == (0, "n\n1\n"), result.stderr
    refused = command("sql", "drop table transcripts")
    assert refused.returncode == 2 and "SELECT" in refused.stderr
    assert command("lake", "verify").returncode == 0


@pytest.mark.slow
def test_spans_of_the_transcription_process_arrive(command):
    """The last ones are sent before the process ends; all belong to one trace."""
    with OtlpReceiver() as receiver:
        command.environment["YTCAPTION_OTLP_ENDPOINT"] = receiver.endpoint
        try:
            done = command("transcribe", str(DATA / "weather-mulaw-8k.wav"))
        finally:
            del command.environment["YTCAPTION_OTLP_ENDPOINT"]
    assert done.returncode == 0, done.stderr
    stages = {"audio_download", "transcription", "transcript_parquet"}
    assert {span.name for span in receiver.spans} > stages
    assert len({span.trace_id for span in receiver.spans}) == 1
    assert receiver.named("postgres.complete").service == "ytcaption-run"
