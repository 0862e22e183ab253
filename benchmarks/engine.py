"""The batched engine against plain faster-whisper, set by set, side by side in one run.

    python -m benchmarks.engine [--audio DIR] [--model base] [--sets clips,short,de+fr+es+pt,long]
        [--rounds 1] [--callers 64] [--arms plain,batched] [--costs '{"max_s": 15}'] [--json FILE]

Arms take turns in one process with the same weights: `plain` is `WhisperModel.transcribe` at its
defaults (beam 5, one window after the other, two threads), `sequential` and `batched` are
WhisperTranscriber with that engine, the latter with several callers. This gives a first impression:
arms of one process share its memory. For ratios use `benchmarks.peers`, where each has its own
process.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.accuracy import joined, samples
from benchmarks.common import TEST_DATA, Clip, clips, total
from benchmarks.graph import write_speech
from resources.transcribe import batch_engine
from resources.transcribe.batch_queue import BatchShape
from resources.transcribe.device import loaded_model
from resources.transcribe.speech_windows import WindowCosts
from resources.transcribe.whisper_transcriber import WhisperTranscriber
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.accuracy import word_errors
from ytcaption.domain.transcripts.metrics import WordErrors
from ytcaption.settings.settings import load_settings

SHORT_S, CLIP_S = 6.0, 30.0
Word = tuple[str, float, float]


@dataclass
class Transcribed:
    """An arm's result for a recording: its text, and words with start and end in seconds."""

    text: str
    words: list[Word]
    language: str | None
    notes: dict = field(default_factory=dict)


@dataclass
class Round:
    """One pass of an arm over a set."""

    wall_s: float
    cpu_s: float
    results: list[Transcribed]


Recording = tuple[Clip, np.ndarray]
Arm = Callable[[list[Recording]], list[Transcribed]]


def plain_arm(model: str, language_known: bool, words: bool) -> Arm:
    """Return an arm of plain faster-whisper."""
    files, placement = WhisperTranscriber.from_settings(
        load_settings(), engine="sequential"
    ).prepare_model(model)
    loaded = loaded_model(files.directory, files.revision, placement)

    def transcribe(recording: Recording) -> Transcribed:
        clip, waveform = recording
        language = clip.language if language_known else None
        segments, info = loaded.transcribe(
            waveform, beam_size=5, language=language, word_timestamps=words
        )
        decoded = list(segments)
        timed = [(w.word, w.start, w.end) for each in decoded for w in each.words or ()]
        return Transcribed("".join(each.text for each in decoded).strip(), timed, info.language)

    return lambda recordings: [transcribe(each) for each in recordings]


def our_arm(transcriber: WhisperTranscriber, model: str, known: bool, callers: int) -> Arm:
    """Return an arm of our transcriber, called by several threads."""

    def transcribe(recording: Recording) -> Transcribed:
        clip, waveform = recording
        options = TranscriptionOptions(model=model, language=clip.language if known else None)
        result = transcriber.transcribe(waveform, options, lambda *_: None)
        timed = [(w.text, w.start_s, w.end_s) for each in result.segments for w in each.words]
        text = " ".join(each.text for each in result.segments)
        notes = {"dropped": [each.text for each in result.dropped], **result.timings_s}
        return Transcribed(text, timed, result.language, notes)

    def run(recordings: list[Recording]) -> list[Transcribed]:
        with ThreadPoolExecutor(callers) as pool:
            return list(pool.map(transcribe, recordings))

    return run


def sets(
    directory: Path, model: str, wanted: list[str], minutes: float
) -> dict[str, list[Recording]]:
    """Return the recordings by name of the set."""
    spoken = [each for each in clips(directory) if each.reference and each.language]
    result: dict[str, list[Recording]] = {}
    for name in wanted:
        if name == "long":
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "speech.flac"
                reference, duration_s = write_speech(directory, file, minutes * 60)
                clip = Clip(file, "en", reference, "long", duration_s)
                result[name] = [(clip, samples(clip))]
        elif name == "joined":
            result[name] = [joined(clips(directory), "en")]
        elif name == "short":
            some = [each for each in spoken if each.duration_s < SHORT_S and each.language == "en"]
            result[name] = [(each, samples(each)) for each in some]
        elif name == "clips":
            some = [each for each in spoken if each.duration_s < CLIP_S and each.language == "en"]
            result[name] = [(each, samples(each)) for each in some]
        else:
            some = [each for each in spoken if each.language in name.split("+")]
            result[name] = [(each, samples(each)) for each in some]
    return {name: each for name, each in result.items() if each}


def measure(
    arms: dict[str, Arm], recordings: list[Recording], rounds: int
) -> dict[str, list[Round]]:
    """Run the arms in turns."""
    results: dict[str, list[Round]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            wall, cpu = time.perf_counter(), time.process_time()
            transcribed = arm(recordings)
            took = time.perf_counter() - wall, time.process_time() - cpu
            results[name].append(Round(*took, transcribed))
    return results


def errors(recordings: list[Recording], results: list[Transcribed]) -> WordErrors:
    """Return the errors summed over a set."""
    return total(
        word_errors(clip.language, clip.reference, each.text)
        for (clip, _), each in zip(recordings, results, strict=True)
    )


def word_offset_ms(one: list[Transcribed], other: list[Transcribed]) -> float | None:
    """Return the median distance of starts and ends of words that both arms have, in order."""
    import difflib

    offsets_s = []
    for mine, theirs in zip(one, other, strict=True):
        plain = [[w[0].strip().lower() for w in each.words] for each in (mine, theirs)]
        for block in difflib.SequenceMatcher(None, *plain, autojunk=False).get_matching_blocks():
            for at in range(block.size):
                a, b = mine.words[block.a + at], theirs.words[block.b + at]
                offsets_s += [abs(a[1] - b[1]), abs(a[2] - b[2])]
    return statistics.median(offsets_s) * 1000 if offsets_s else None


def summary(
    recordings: list[Recording], first: list[Round], rounds: list[Round]
) -> dict[str, object]:
    """Return the results of an arm on a set, compared with the first arm."""
    results = rounds[0].results
    wrong = errors(recordings, results)
    return {
        "audio_s": round(sum(len(waveform) for _, waveform in recordings) / 16_000, 1),
        "wall_s": [round(each.wall_s, 2) for each in rounds],
        "cpu_s": [round(each.cpu_s, 2) for each in rounds],
        "speedup_wall": speedup(first, rounds, "wall_s"),
        "speedup_cpu": speedup(first, rounds, "cpu_s"),
        "wer": round(wrong.rate * 100, 2),
        "errors": [wrong.substitutions, wrong.deletions, wrong.insertions],
        "by_language": wer_by_language(recordings, results),
        "words": wrong.reference_words,
        "word_offset_ms": word_offset_ms(first[0].results, results),
        "language_wrong": [
            clip.path.name
            for (clip, _), each in zip(recordings, results, strict=True)
            if each.language != clip.language
        ],
    }


def speedup(first: list[Round], rounds: list[Round], clock: str) -> float:
    """Return the median ratio over the rounds, by `wall_s` or `cpu_s`."""
    ratios = [getattr(a, clock) / getattr(b, clock) for a, b in zip(first, rounds, strict=True)]
    return round(statistics.median(ratios), 2)


def wer_by_language(recordings: list[Recording], results: list[Transcribed]) -> dict[str, float]:
    """Return the word error rate of each language in percent."""
    pairs = list(zip(recordings, results, strict=True))
    rates = {}
    for language in sorted({clip.language for clip, _ in recordings}):
        spoken = [
            (recording, each) for recording, each in pairs if recording[0].language == language
        ]
        wrong = errors([recording for recording, _ in spoken], [each for _, each in spoken])
        rates[language] = round(wrong.rate * 100, 2)
    return rates


def main() -> None:
    """Print a line for each set and arm."""
    settings = load_settings()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine")
    parser.add_argument("--audio", type=Path, default=TEST_DATA)
    parser.add_argument("--model", default=settings.speech.model)
    parser.add_argument("--sets", default="clips,short,de+fr+es+pt,long")
    parser.add_argument("--arms", default="plain,batched")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--detect", action="store_true", help="the language is not given")
    parser.add_argument("--words", action="store_true", help="plain also aligns words")
    parser.add_argument("--costs", type=json.loads, default={})
    parser.add_argument("--shape", type=json.loads, default={})
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.costs or arguments.shape:
        _override(arguments.costs, arguments.shape)
    factories: dict[str, Callable[[], Arm]] = {
        "plain": lambda: plain_arm(arguments.model, not arguments.detect, arguments.words),
        "sequential": lambda: our_arm(
            WhisperTranscriber.from_settings(settings, engine="sequential"),
            arguments.model,
            not arguments.detect,
            1,
        ),
        "batched": lambda: our_arm(
            WhisperTranscriber.from_settings(settings, engine="batched"),
            arguments.model,
            not arguments.detect,
            arguments.callers,
        ),
    }
    arms = {name: factories[name]() for name in arguments.arms.split(",")}
    rows = []
    for name, recordings in sets(
        arguments.audio, arguments.model, arguments.sets.split(","), arguments.minutes
    ).items():
        for arm in arms.values():  # loads the model and starts the threads
            arm([(recordings[0][0], recordings[0][1][: 16_000 * 4])])
        results = measure(arms, recordings, arguments.rounds)
        first = results[next(iter(arms))]
        for arm, rounds in results.items():
            row = {"set": name, "arm": arm} | summary(recordings, first, rounds)
            texts = {
                "texts": [each.text for each in rounds[0].results],
                "files": [clip.path.name for clip, _ in recordings],
            }
            rows.append(row | texts)
            print(json.dumps(row), flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows, ensure_ascii=False))


def _override(costs: dict, shape: dict) -> None:
    """Use other windows and batches than the product's, for the curve in
    docs/benchmarks/engine-design.md."""
    real = batch_engine.batch_shape
    batch_engine.WindowCosts = lambda: WindowCosts(**costs)  # pyright: ignore[reportAttributeAccessIssue]

    def batch_shape(device: str, workers: int) -> BatchShape:
        return replace(real(device, workers), **shape)

    batch_engine.batch_shape = batch_shape


if __name__ == "__main__":
    main()
