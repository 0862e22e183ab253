"""Accuracy and speed: WhisperTranscriber against plain faster-whisper, side by side in one run.

    python -m benchmarks.accuracy [--audio DIR] [--model base] [--joined en] [--json FILE]

Both transcribe the same samples with the same loaded weights, clip by clip, in turns, so that a
busy machine slows both. Plain is `WhisperModel.transcribe(waveform, beam_size=5)`, all else at
default. `--joined` adds one long recording: a language's clips between pauses, silence, noise and
music. Exit status 1 if ours is more than half a point worse in a language or writes text over
silence.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.common import (
    NO_SPEECH_KINDS,
    TEST_DATA,
    Clip,
    Clock,
    clips,
    peak_memory_bytes,
    total,
)
from resources.audio.decoder import decode
from resources.transcribe.device import loaded_model
from resources.transcribe.whisper_transcriber import WhisperTranscriber
from ytcaption.domain.request import TranscriptionOptions
from ytcaption.domain.transcripts.accuracy import word_errors
from ytcaption.domain.transcripts.metrics import WordErrors
from ytcaption.settings.settings import load_settings

ENGINES = ("plain", "ours")
JOINED = "joined"
ALLOWED_LOSS = 0.005
"""Difference by which our word error rate may exceed plain's, in any language."""


@dataclass
class ClipResult:
    """The results of both engines for one clip."""

    clip: Clip
    text: dict[str, str] = field(default_factory=dict)
    language: dict[str, str | None] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)

    def errors(self, engine: str) -> WordErrors:
        """Return an engine's errors against the clip's reference."""
        return word_errors(self.clip.language, self.clip.reference, self.text[engine])


def joined(all_clips: list[Clip], language: str) -> tuple[Clip, np.ndarray]:
    """Join all clips of a language in a fixed order, with pauses, noise or music between them."""
    order = np.random.default_rng(3)
    spoken = [each for each in all_clips if each.language == language and each.reference]
    order.shuffle(spoken)
    silent = [each for each in all_clips if each.kind in NO_SPEECH_KINDS]
    fillings = [samples(each)[: 14 * 16_000] for each in silent]
    pieces = []
    for at, each in enumerate(spoken):
        pause = np.zeros(int(order.uniform(0.5, 5.0) * 16_000), np.float32)
        filling = fillings[at // 3 % len(fillings)] if fillings and at % 3 == 2 else pause
        pieces += [samples(each), filling]
    waveform = np.concatenate(pieces)
    reference = " ".join(each.reference for each in spoken)
    return Clip(Path(JOINED), language, reference, JOINED, len(waveform) / 16_000), waveform


def samples(clip: Clip) -> np.ndarray:
    """Decode a clip to samples, float32, mono, 16 kHz."""
    return decode(clip.path, max_audio_s=3_600, memory_bytes=1 << 31)


def transcribe_clips(
    clips: list[Clip],
    model: str,
    transcriber: WhisperTranscriber,
    clock: Clock,
    join: str | None = None,
) -> list[ClipResult]:
    """Transcribe every clip by both engines; measure the stages `plain` and `ours`."""
    options = TranscriptionOptions(model=model)
    files, placement = transcriber.prepare_model(model)
    plain = loaded_model(files.directory, files.revision, placement)
    warm_up = np.zeros(16_000, np.float32)
    list(plain.transcribe(warm_up, language="en", beam_size=5)[0])
    results = []
    long = [joined(clips, join)] if join is not None else []
    for at, (clip, waveform) in enumerate([*((each, None) for each in clips), *long]):
        waveform = samples(clip) if waveform is None else waveform
        one = ClipResult(clip)
        for engine in ENGINES[:: 1 if at % 2 else -1]:
            with clock.measure(engine):
                if engine == "plain":
                    segments, info = plain.transcribe(waveform, beam_size=5)
                    one.text[engine] = "".join(segment.text for segment in segments).strip()
                    one.language[engine] = info.language
                else:
                    result = transcriber.transcribe(waveform, options, lambda *_: None)
                    one.text[engine] = " ".join(segment.text for segment in result.segments)
                    one.language[engine] = result.language
                    one.dropped = [f"{drop.reason}: {drop.text}" for drop in result.dropped]
        results.append(one)
        print(f"\r{at + 1}/{len(clips) + len(long)} clips", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return results


def summary(results: list[ClipResult], clock: Clock) -> dict:
    """Return JSON values: error rates by language, speed, text over silence, clips that differ."""
    scored = [one for one in results if one.clip.reference]
    clips_only = [one for one in scored if one.clip.kind != JOINED]
    groups: dict[str, list[ClipResult]] = {}
    for one in sorted(clips_only, key=lambda each: each.clip.language):
        groups.setdefault(one.clip.language, []).append(one)
    groups["all"] = clips_only
    if long := [one for one in scored if one.clip.kind == JOINED]:
        groups[f"{long[0].clip.language}, joined"] = long
    audio_s = sum(one.clip.duration_s for one in results)
    silent = [one for one in results if one.clip.kind in NO_SPEECH_KINDS]
    return {
        "audio_s": round(audio_s, 1),
        "languages": {
            name: {
                "clips": len(group),
                **{
                    engine: asdict(errors)
                    | {"reference_words": errors.reference_words, "rate": errors.rate}
                    for engine in ENGINES
                    for errors in [total(one.errors(engine) for one in group)]
                },
            }
            for name, group in groups.items()
        },
        "seconds": {engine: round(clock.seconds[engine], 2) for engine in ENGINES},
        "times_real_time": {
            engine: round(audio_s / clock.seconds[engine], 2) for engine in ENGINES
        },
        "speed_ratio": round(clock.seconds["plain"] / clock.seconds["ours"], 2),
        "language_wrong": {
            engine: [
                one.clip.path.name
                for one in results
                if one.clip.language and one.language[engine] != one.clip.language
            ]
            for engine in ENGINES
        },
        "text_over_silence": {
            engine: {one.clip.path.name: one.text[engine] for one in silent if one.text[engine]}
            for engine in ENGINES
        },
        "dropped": {one.clip.path.name: one.dropped for one in results if one.dropped},
        "peak_memory_bytes": peak_memory_bytes(),
        "texts": {
            one.clip.path.name: one.text for one in results if one.text["plain"] != one.text["ours"]
        },
    }


def passes(result: dict) -> bool:
    """Return whether the result meets the benchmark's requirements."""
    losses = [each["ours"]["rate"] - each["plain"]["rate"] for each in result["languages"].values()]
    return max(losses) <= ALLOWED_LOSS and not result["text_over_silence"]["ours"]


def show(result: dict, model: str) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"word error rate, {model}, {result['audio_s']:.0f} s of audio")
    for column in ("language", "clips", "words", "plain", "ours", "difference"):
        table.add_column(column, justify="left" if column == "language" else "right")
    for name, each in result["languages"].items():
        plain, ours = each["plain"]["rate"], each["ours"]["rate"]
        words = str(each["plain"]["reference_words"])
        table.add_row(
            name, str(each["clips"]), words, f"{plain:.2%}", f"{ours:.2%}", f"{ours - plain:+.2%}"
        )
    console = Console()
    console.print(table)
    speeds = result["times_real_time"]
    console.print(
        f"plain {speeds['plain']} x real time, ours {speeds['ours']} x (ratio "
        f"{result['speed_ratio']}), peak memory {result['peak_memory_bytes'] / 1e6:.0f} MB"
    )
    for engine in ENGINES:
        for name, text in result["text_over_silence"][engine].items():
            console.print(f"{engine} over {name}: {text!r}", markup=False)
        if wrong := result["language_wrong"][engine]:
            console.print(f"{engine}, wrong language: {', '.join(wrong)}")


def main() -> int:
    """Measure, print the result and return the exit status."""
    settings = load_settings()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy")
    parser.add_argument("--audio", type=Path, default=TEST_DATA, help="a folder with manifest.csv")
    parser.add_argument("--model", default=settings.speech.model)
    parser.add_argument("--language", help="only clips of this language, and those without any")
    parser.add_argument("--joined", metavar="LANGUAGE", help="add its clips as one recording")
    parser.add_argument("--json", type=Path, help="write the result here")
    arguments = parser.parse_args()
    only = "en" if arguments.model.endswith(".en") else arguments.language
    selected = [
        each for each in clips(arguments.audio) if only is None or each.language in (only, "")
    ]
    clock = Clock()
    transcriber = WhisperTranscriber.from_settings(settings, engine="sequential")
    results = transcribe_clips(selected, arguments.model, transcriber, clock, arguments.joined)
    result = summary(results, clock)
    show(result, arguments.model)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=1, ensure_ascii=False))
    return 0 if passes(result) else 1


if __name__ == "__main__":
    sys.exit(main())
