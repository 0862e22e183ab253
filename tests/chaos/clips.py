"""Short recordings cut out of the test data, and their transcripts by an undisturbed engine."""

import random
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import TEST_DATA
from benchmarks.joined_clips import SAMPLE_RATE_HZ, spoken, write_flac
from resources.transcribe.batch_engine import drop_batch_engines
from resources.transcribe.whisper_transcriber import WhisperTranscriber
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.transcript import Recognition
from ytcaption.settings.settings import Settings

OPTIONS = TranscriptionOptions(model="tiny.en", language="en")
LENGTH_S = (2.0, 5.0)
_TRIES = 3
"""Most pieces cut for each recording."""


@dataclass(frozen=True)
class Clip:
    """A recording and its expected transcript.

    Attributes:
        name: of its file.
        segments: as `texts_and_times` returns them.
    """

    name: str
    segments: list[tuple]


def texts_and_times(segments: list[dict]) -> list[tuple]:
    """Return texts and times of a document's segments and words, which must be equal."""
    return [
        (
            segment["text"],
            round(segment["start_s"], 2),
            round(segment["end_s"], 2),
            tuple(
                (word["text"], round(word["start_s"], 2), round(word["end_s"], 2))
                for word in segment["words"]
            ),
        )
        for segment in segments
    ]


def make_clips(folder: Path, count: int, seed: int, settings: Settings) -> list[Clip]:
    """Write `count` different recordings, the same ones for a seed, and return them.

    Pieces with an uncertain text are left out: there the engine samples at random, so that no two
    runs give the same transcript.
    """
    from faster_whisper.audio import decode_audio

    choose = random.Random(seed)
    waveforms = [np.asarray(decode_audio(str(clip.path))) for clip in spoken(TEST_DATA)]
    transcriber = WhisperTranscriber.from_settings(settings)
    clips: list[Clip] = []
    for number in range(_TRIES * count):
        waveform = choose.choice(waveforms)
        length = int(choose.uniform(*LENGTH_S) * SAMPLE_RATE_HZ)
        start = choose.randrange(max(1, len(waveform) - length))
        path = folder / f"clip-{number:04d}.flac"
        write_flac([waveform[start : start + length]], path)
        samples = np.asarray(decode_audio(str(path)))
        recognition = transcriber.transcribe(samples, OPTIONS, lambda *_: None)
        if _is_certain(recognition):
            segments = texts_and_times([asdict(segment) for segment in recognition.segments])
            clips.append(Clip(path.name, segments))
        if len(clips) == count:
            break
    drop_batch_engines()
    assert len(clips) == count, f"only {len(clips)} pieces have a certain text"
    return clips


def _is_certain(recognition: Recognition) -> bool:
    certain = all(segment.temperature == 0.0 for segment in recognition.segments)
    return bool(recognition.segments) and certain and not recognition.dropped
