"""A process that ends while a model works ends with its own exit status."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import DATA, ROOT

_CODE = """
import sys, time
from pathlib import Path
from faster_whisper.audio import decode_audio
from resources.transcribe.whisper_transcriber import WhisperTranscriber
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.settings.settings import Settings

transcriber = WhisperTranscriber.from_settings(
    Settings(_env_file=None, model_directory=Path(sys.argv[1]))
)
left = 6  # reports: those before are of voice detection

def end(*_):
    global left
    left -= 1
    if not left:
        sys.exit(7)

class Slow:
    def __del__(self):
        time.sleep(2)

slow = Slow()  # until the end of the interpreter, which then takes long
options = TranscriptionOptions("tiny.en", "en")
transcriber.transcribe(decode_audio(sys.argv[2]), options, end)
"""


@pytest.mark.long
@pytest.mark.model
def test_a_run_that_is_interrupted_ends_with_its_status(model_home: Path) -> None:
    """Its worker threads are decoding at that moment: they return first."""
    done = subprocess.run(
        [sys.executable, "-c", _CODE, str(model_home), str(DATA / "sonnet-en.mp3")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (7, "")
