"""Transcribing an hour and a half of audio takes as much memory as minutes."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.clip_errors import DATA, samples

pytestmark = pytest.mark.model

LENGTH_S = 5_400
LARGEST_BYTES = 290_000_000
"""More than a process that has transcribed eleven seconds. The samples alone are 346 MB."""

PROGRAM = """
import json, sys
from pathlib import Path
from resources.audio.decoder import decode
from resources.audio.waveform import waveform_png
from resources.transcribe.whisper_transcriber import WhisperTranscriber
from ytcaption.domain.request import TranscriptionOptions

def peak_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

short, long, home, scratch = map(Path, sys.argv[1:])
options = TranscriptionOptions(model="tiny.en", language="en")
engines = [WhisperTranscriber(models_home=str(home), engine=engine, cpu_threads=2)
           for engine in ("sequential", "batched")]

def transcribe(path):
    waveform = decode(
        path, max_audio_s=12 * 3600, memory_bytes=1 << 30, scratch_directory=scratch
    )
    results = [each.transcribe(waveform, options, lambda *_: None) for each in engines]
    waveform_png(waveform)
    return [[s.start_s for s in each.segments] for each in results], results[0].duration_s

transcribe(short)
Path("/proc/self/clear_refs").write_text("5")  # the peak is measured from here on
before = peak_bytes()
starts_s, duration_s = transcribe(long)
print(json.dumps([peak_bytes() - before, duration_s, starts_s]))
"""


def write_long(path: Path, spoken_at_s: list[float]) -> None:
    """Write a WAV of silence with the same sentence at some times, as a sparse file."""
    speech = (samples("jfk.flac") * 32_767).astype("<i2").tobytes()
    size = LENGTH_S * 16_000 * 2
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
    header = struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form
    header += struct.pack("<4sI", b"data", size)
    with path.open("wb") as file:
        file.write(header)
        for at_s in spoken_at_s:
            file.seek(len(header) + int(at_s * 16_000) * 2)
            file.write(speech)
        file.truncate(len(header) + size)


@pytest.mark.slow
def test_hours_take_no_more_memory_than_minutes(tmp_path: Path, model_home: Path):
    """Samples are decoded into a file, of which only the part in use is in memory, with either
    engine, from the decoder to the waveform picture."""
    short, long = DATA / "jfk.flac", tmp_path / "long.wav"
    spoken_at_s = [5.0, LENGTH_S - 30.0]
    write_long(long, spoken_at_s)
    child = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, (short, long, model_home, tmp_path / "scratch"))],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    more_bytes, duration_s, engines = json.loads(child.stdout)
    assert duration_s == LENGTH_S
    for starts_s in engines:
        for at_s in spoken_at_s:
            assert any(abs(start_s - at_s) < 2 for start_s in starts_s), (at_s, starts_s)
    assert more_bytes < LARGEST_BYTES
    assert list((tmp_path / "scratch").iterdir()) == []
