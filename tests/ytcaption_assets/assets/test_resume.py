"""The next attempt continues where a killed run stopped."""

import io
import os
import subprocess
import sys
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resources.object_store.store import document_key
from resources.transcriptions.reads import get_transcription
from resources.transcriptions.run_settlement import settle_silent
from tests.support.clip_errors import samples
from tests.support.servers.media_server import MediaServer
from tests.ytcaption_assets.assets.conftest import Graph
from ytcaption.domain.request import TranscriptionStatus
from ytcaption.domain.transcripts.transcript import Transcript

pytestmark = pytest.mark.model

KILLED_RUN = """
import sys, time
import dagster as dg
from resources.transcribe import checkpoint
from resources.transcriptions import checkpoints
from ytcaption_assets.definitions import build_definitions
from resources.orchestration.partitions import transcription_partitions
from ytcaption.settings.settings import load_settings

key, folder = sys.argv[1:]
checkpoint.SAVE_INTERVAL_S = 0.0
write = checkpoints._PartWriter._write

def wait_to_be_killed(self, parts):
    write(self, parts)
    print("kept", flush=True)
    time.sleep(60)

checkpoints._PartWriter._write = wait_to_be_killed
with dg.instance_for_test(temp_dir=folder) as instance:
    instance.add_dynamic_partitions(transcription_partitions.name, [key])
    build_definitions(load_settings()).resolve_job_def("transcribe").execute_in_process(
        instance=instance, partition_key=key, tags={"ytcaption/attempt": "1"}
    )
"""


@pytest.fixture
def recording() -> bytes:
    """A WAV of two speakers with a pause of three seconds."""
    pause = np.zeros(16_000 * 3, np.float32)
    spoken = np.concatenate([samples("jfk.flac"), pause, samples("ljspeech-LJ001-0028.flac")])
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((spoken * 32_767).astype(np.int16).tobytes())
    return buffer.getvalue()


def document(graph: Graph, key: str) -> Transcript:
    return Transcript.from_json(graph.objects.read_bytes(document_key(key)))


@pytest.mark.slow
def test_a_killed_run_is_continued(
    graph: Graph, media_server: MediaServer, recording: bytes, tmp_path: Path
):
    """kill -9 after the first speaker: the next attempt transcribes the second alone, and its
    document equals that of a run that was not killed."""
    url = media_server.serve("two.wav", recording)
    key = graph.submit(url)
    run = subprocess.Popen(
        [sys.executable, "-c", KILLED_RUN, key, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    assert run.stdout is not None
    try:
        assert "kept" in next(line for line in run.stdout if line.strip())
    finally:
        run.kill()
        run.wait()
        run.stdout.close()
    settle_silent(graph.store.postgres, silent_s=0.0)
    assert get_transcription(graph.store.postgres, key).attempt == 2

    result = graph.run(key, attempt=2)

    assert result.success
    assert get_transcription(graph.store.postgres, key).status is TranscriptionStatus.COMPLETED
    (made,) = result.asset_materializations_for_node("transcription")
    resumed_s = made.metadata["resumed_s"].value
    assert isinstance(resumed_s, float) and 10 < resumed_s < 16
    assert "rtf" not in made.metadata, "no attempt transcribed all of it"
    with graph.store.postgres.transaction() as connection:
        assert connection.execute("select 1 from ytcaption.checkpoint").fetchall() == []

    whole_key = graph.submit(f"{url}?whole")
    assert graph.run(whole_key, selection=["audio_download", "transcription"]).success
    resumed, whole = document(graph, key), document(graph, whole_key)
    assert len(whole.segments) >= 2
    provenance = replace(
        whole.provenance,
        run_id=resumed.provenance.run_id,
        created_at=resumed.provenance.created_at,
    )
    assert resumed == replace(
        whole, id=resumed.id, media_id=resumed.media_id, provenance=provenance
    )
