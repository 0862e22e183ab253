"""The sets of recordings that engines are compared on."""

import csv
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from benchmarks.accuracy import samples
from benchmarks.common import NO_SPEECH_KINDS, Clip, clips
from benchmarks.graph import write_speech
from resources.audio.decoder import decode
from resources.audio.samples import SAMPLE_RATE_HZ

SETS = {
    "clips": "30 English clips under 30 s",
    "short": "English clips under 6 s",
    "pieces": "English clips under 6 s, and longer ones cut at pauses into pieces under 6 s",
    "multi": "German, French, Spanish and Portuguese clips",
    "mix": "English and German clips alternating, language not given",
    "silence": "silence, noise and music, language not given",
    "10min": "ten minutes of English clips with pauses of 1.5 s, one recording",
    "1h": "the same, an hour",
}
"""Descriptions by name, in the order the sets are run."""

FOREIGN = ("de", "fr", "es", "pt")
_ENGLISH_ONLY = ("clips", "short", "pieces", "silence", "10min", "1h")
_PIECES = Path(__file__).with_name("pieces.csv")
"""File, start and end in seconds, and the spoken text: cut at pauses of 0.2 s between two words
that base transcribed correctly."""

_CLIP_S, _SHORT_S = 30.0, 6.0
_CLIPS = 30
_LONG_S = {"10min": 600.0, "1h": 3_600.0}


@dataclass(frozen=True)
class Spoken:
    """A recording and the language that an engine is given.

    Attributes:
        language: None if it has to be detected.
    """

    clip: Clip
    waveform: np.ndarray
    language: str | None


def recordings(name: str, directory: Path, model: str, limit_s: float) -> list[Spoken]:
    """Return a set for a model, limited to about `limit_s`; empty if the model does not support
    it."""
    is_english = model.endswith(".en")
    if is_english and name not in _ENGLISH_ONLY:
        return []
    if name in _LONG_S:
        return [_long(name, directory, min(limit_s, _LONG_S[name]))]
    if name == "pieces":
        return list(_pieces(directory, limit_s))
    has_language = name not in ("mix", "silence")
    return [
        Spoken(clip, samples(clip), "en" if is_english else clip.language if has_language else None)
        for clip in within(chosen(name, clips(directory)), limit_s)
    ]


def chosen(name: str, candidates: list[Clip]) -> list[Clip]:
    """Return the clips of a set, in order."""
    if name == "silence":
        return [each for each in candidates if each.kind in NO_SPEECH_KINDS]
    spoken = [each for each in candidates if each.reference and each.duration_s < _CLIP_S]
    english = [each for each in spoken if each.language == "en"]
    if name == "clips":
        return english[:_CLIPS]
    if name == "short":
        return [each for each in english if each.duration_s < _SHORT_S]
    languages = FOREIGN if name == "multi" else ("en", "de")
    by_language = [[each for each in spoken if each.language == code] for code in languages]
    if name == "mix":
        return list(chain.from_iterable(zip(*by_language, strict=False)))
    return [each for each in chain.from_iterable(zip_longest(*by_language)) if each]


def within(candidates: Iterable[Clip], limit_s: float) -> list[Clip]:
    """Return the first clips, until their total length reaches the limit."""
    kept: list[Clip] = []
    for each in candidates:
        if sum(one.duration_s for one in kept) >= limit_s:
            break
        kept.append(each)
    return kept


def _pieces(directory: Path, limit_s: float) -> Iterator[Spoken]:
    clips_by_name = {each.path.name: each for each in clips(directory)}
    total_s = 0.0
    with _PIECES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            clip = clips_by_name.get(row["file"])
            if clip is None or total_s >= limit_s:
                continue
            start_s, end_s = float(row["start_s"]), float(row["end_s"])
            piece = replace(clip, reference=row["reference"], duration_s=end_s - start_s)
            waveform = samples(clip)[int(start_s * SAMPLE_RATE_HZ) : int(end_s * SAMPLE_RATE_HZ)]
            total_s += piece.duration_s
            yield Spoken(piece, waveform, "en")


def _long(name: str, directory: Path, length_s: float) -> Spoken:
    with tempfile.TemporaryDirectory(prefix="ytc-speech-") as folder:
        file = Path(folder) / "speech.flac"
        reference, duration_s = write_speech(directory, file, length_s)
        clip = Clip(Path(name), "en", reference, name, duration_s)
        waveform = decode(file, max_audio_s=2 * length_s + 60, memory_bytes=1 << 31)
        return Spoken(clip, waveform, "en")
