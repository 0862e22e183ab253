"""Every speech recognition engine on the same audio, weights and number of threads, in one run.

    python -m benchmarks.peers [--audio DIR] [--models base,tiny.en] [--sets clips,short,...]
        [--engines ytcaption-batched,...] [--rounds 1] [--patience-s 90] [--limit-s 60]
        [--json build/peers.json]

For each set the engines take turns, each in its own process that loads the model, transcribes five
seconds that do not count, and then the set. `benchmarks.peer_report` makes docs from the JSON.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.common import TEST_DATA, total
from benchmarks.peer_arms import ARMS, REFERENCE, Arm
from benchmarks.peer_engines.recording import THREADS, Recording, Weights
from benchmarks.peer_machine import about_this_run
from benchmarks.peer_process import Job, Result
from benchmarks.peer_sets import SETS, Spoken, recordings
from resources.models.store import ensure_model
from resources.processes.native_threads import decoding_environment
from ytcaption.domain.transcripts.accuracy import word_errors
from ytcaption.domain.transcripts.metrics import WordErrors
from ytcaption.settings.settings import load_settings

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
TIMEOUT_S = 1_800


class ArmFailed(Exception):
    """An engine is not installed, or failed; the message is one line."""


def main() -> None:
    """Rewrite the JSON after each set, so that an interrupted run leaves its results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("--audio", type=Path, default=TEST_DATA, help="a folder with manifest.csv")
    parser.add_argument("--models", default="base,tiny.en")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--engines", default=",".join(ARMS))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--patience-s",
        type=float,
        default=90.0,
        help="skip an engine that would take longer for a set (except those that run all sets)",
    )
    parser.add_argument("--limit-s", type=float, default=float("inf"), help="audio of a set")
    parser.add_argument("--json", type=Path, default=BUILD / "peers.json")
    arguments = parser.parse_args()
    arms = {name: ARMS[name] for name in arguments.engines.split(",")}
    run = about_this_run(shlex.join(["python", "-m", "benchmarks.peers", *sys.argv[1:]]))
    run["sets"] = SETS
    rows: list[dict] = []
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    for model in arguments.models.split(","):
        speeds: dict[str, float] = {}
        for name in arguments.sets.split(","):
            spoken = recordings(name, arguments.audio, model, arguments.limit_s)
            if not spoken:
                continue
            results = compared(arms, spoken, model, arguments.rounds, speeds, arguments.patience_s)
            for row in results:
                run["versions"] |= row.pop("versions", {})
                rows.append({"model": model, "set": name} | row)
                print(json.dumps(rows[-1]), flush=True)
            arguments.json.write_text(json.dumps(run | {"rows": rows}, indent=1))


def compared(
    arms: dict[str, Arm],
    spoken: list[Spoken],
    model: str,
    rounds: int,
    speeds: dict[str, float],
    patience_s: float,
) -> list[dict]:
    """Return a row for each engine on a set; it has a reason if there is no result.

    Args:
        speeds: the highest speed of each engine in earlier sets, times real time; updated.
    """
    results: dict[str, list[Result]] = {name: [] for name in arms}
    reasons: dict[str, str] = {}
    audio_s = sum(each.clip.duration_s for each in spoken)
    for name, arm in arms.items():
        if reason := skip_reason(arm, audio_s, speeds.get(name), patience_s):
            reasons[name] = reason
    with tempfile.TemporaryDirectory(prefix="ytc-peers-") as folder:
        files = _written(spoken, Path(folder))
        for at in range(rounds):
            for name in list(arms)[:: 1 if at % 2 == 0 else -1]:
                if name in reasons:
                    continue
                try:
                    results[name].append(in_process(arms[name], model, files, Path(folder)))
                except ArmFailed as failure:
                    reasons[name] = str(failure)
    plain = results.get(REFERENCE, [])
    rows = []
    for name in arms:
        if name in reasons:
            rows.append({"engine": name, "audio_s": round(audio_s, 1), "reason": reasons[name]})
            continue
        speed = audio_s / statistics.median(each.wall_s for each in results[name])
        speeds[name] = max(speed, speeds.get(name, 0.0))
        rows.append({"engine": name} | summary(spoken, results[name], plain))
    return rows


def skip_reason(arm: Arm, audio_s: float, speed: float | None, patience_s: float) -> str | None:
    """Return why an engine is skipped on a set; None if it is not."""
    if arm.runs_all_sets or speed is None or audio_s / speed <= patience_s:
        return None
    return (
        f"skipped: at {speed:.1f} times real time, its best before, it would take "
        f"{audio_s / speed:.0f} s"
    )


def in_process(arm: Arm, model: str, recordings: list[Recording], folder: Path) -> Result:
    """Transcribe the recordings in a new process of the engine.

    Raises:
        ArmFailed: with the last line of its output.
    """
    python = Path(sys.executable) if arm.is_in_product else ROOT / ".venv-peers" / "bin" / "python"
    if not python.exists():
        raise ArmFailed("not installed: run `make .venv-peers/.installed`")
    files = ensure_model(model, load_settings().models_home)
    converted = BUILD / "peer_weights" / files.revision[:16]
    converted.mkdir(parents=True, exist_ok=True)
    weights = Weights(model, files.directory, converted)
    job_file, result_file = folder / "job.json", folder / "result.json"
    result_file.unlink(missing_ok=True)
    job_file.write_text(Job(arm.engine, arm.packages, weights, tuple(recordings)).to_json())
    command = [str(python), "-m", "benchmarks.peer_process", str(job_file), str(result_file)]
    environment = os.environ | {"OMP_NUM_THREADS": str(THREADS)}
    if arm.has_our_environment:
        environment = decoding_environment(environment)
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise ArmFailed(f"not done after {TIMEOUT_S // 60} minutes") from None
    if done.returncode != 0 or not result_file.exists():
        output = done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"]
        raise ArmFailed(f"failed: {output[-1][:200]}")
    return Result(**json.loads(result_file.read_text()))


def summary(spoken: list[Spoken], results: list[Result], plain: list[Result]) -> dict:
    """Return medians over the rounds, and the words of the first."""
    errors = [
        word_errors(each.clip.language, each.clip.reference, text)
        for each, text in zip(spoken, results[0].texts, strict=True)
    ]
    languages = sorted({each.clip.language for each in spoken if each.clip.reference})
    by_language = {
        code: total(
            one for one, each in zip(errors, spoken, strict=True) if each.clip.language == code
        ).rate
        for code in languages
    }
    audio_s = sum(len(each.waveform) for each in spoken) / 16_000
    wall_s = _median(results, "wall_s")
    return {
        "audio_s": round(audio_s, 1),
        "rounds": len(results),
        "wall_s": round(wall_s, 2),
        "times_real_time": round(audio_s / wall_s, 2),
        "rtf": round(wall_s / audio_s, 4),
        "ratio": _ratio(plain, results, "wall_s"),
        "cpu_s": round(_median(results, "cpu_s"), 2),
        "cpu_ratio": _ratio(plain, results, "cpu_s"),
        "others_cpu_s": round(_median(results, "others_cpu_s"), 2),
        "load_s": round(_median(results, "load_s"), 2),
        "peak_bytes": int(_median(results, "peak_bytes")),
        **_words(total(errors)),
        "by_language": {code: round(rate, 4) for code, rate in by_language.items()},
        "versions": results[0].versions,
    }


def _words(errors: WordErrors) -> dict:
    """Return the errors; the rate is None without speech."""
    rate = round(errors.rate, 4) if errors.reference_words else None
    return asdict(errors) | {"reference_words": errors.reference_words, "wer": rate}


def _median(results: list[Result], name: str) -> float:
    return statistics.median(getattr(each, name) for each in results)


def _ratio(plain: list[Result], results: list[Result], name: str) -> float | None:
    """Return the median speed relative to the reference, by round; None without the reference."""
    ratios = [
        getattr(one, name) / getattr(other, name)
        for one, other in zip(plain, results, strict=False)
    ]
    return round(statistics.median(ratios), 2) if ratios else None


def _written(spoken: list[Spoken], folder: Path) -> list[Recording]:
    recordings = []
    for at, each in enumerate(spoken):
        file = folder / f"{at}.f32"
        each.waveform.tofile(file)
        recordings.append(Recording(file, each.language))
    return recordings


if __name__ == "__main__":
    main()
