"""Short recordings cut out of the tests' English ones, and what an undisturbed engine hears."""

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
from ytcaption.settings import Settings

OPTIONS = TranscriptionOptions(model="tiny.en", language="en")
LENGTH_S = (2.0, 5.0)
_TRIES = 3
"""Pieces that are cut for each one that is wanted, at most."""


@dataclass(frozen=True)
class Clip:
    """A recording and its one true transcript.

    Attributes:
        name: of its file.
        heard: segments as `said` gives them.
    """

    name: str
    heard: list[tuple]


def said(segments: list[dict]) -> list[tuple]:
    """Texts and times of a document's segments and words: what must be the same."""
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
    """So many, no two alike, the same ones for a seed.

    Where a text is doubtful the engine tries again with chance in it: such pieces are left out,
    since no two runs hear the same in them, disturbed or not.
    """
    from faster_whisper.audio import decode_audio

    choose = random.Random(seed)
    waveforms = [np.asarray(decode_audio(str(clip.path))) for clip in spoken(TEST_DATA)]
    transcriber = WhisperTranscriber.from_settings(settings)
    made: list[Clip] = []
    for number in range(_TRIES * count):
        waveform = choose.choice(waveforms)
        length = int(choose.uniform(*LENGTH_S) * SAMPLE_RATE_HZ)
        start = choose.randrange(max(1, len(waveform) - length))
        path = folder / f"clip-{number:04d}.flac"
        write_flac([waveform[start : start + length]], path)
        samples = np.asarray(decode_audio(str(path)))
        found = transcriber.transcribe(samples, OPTIONS, lambda *_: None)
        if _is_certain(found):
            made.append(Clip(path.name, said([asdict(segment) for segment in found.segments])))
        if len(made) == count:
            break
    drop_batch_engines()
    assert len(made) == count, f"only {len(made)} pieces are heard without doubt"
    return made


def _is_certain(found: Recognition) -> bool:
    certain = all(segment.temperature == 0.0 for segment in found.segments)
    return bool(found.segments) and certain and not found.dropped
