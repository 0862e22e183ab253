"""Ten minutes of speech through the asset graph, compared with its engine and plain faster-whisper.

    python -m benchmarks.graph [--audio DIR] [--model base] [--minutes 10] [--rounds 1]
        [--engines sequential,batched]

Each arm has its own process; the arms take turns. Plain faster-whisper loads its model. The engine
alone gets the samples through the same warm worker that the graph uses afterwards.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.common import TEST_DATA, peak_memory_bytes
from benchmarks.installation import local_servers
from benchmarks.joined_clips import SAMPLE_RATE_HZ, spoken, write_flac
from resources.transcriptions.reads import get_transcription
from ytcaption.domain.transcripts.accuracy import word_errors

PAUSE_S = 1.5
WARM_UP = "jfk.flac"
MEBI = 1024**2


def main() -> None:
    """Print speed, shares and memory of the arms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, default=TEST_DATA)
    parser.add_argument("--model", default="base")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--engines", default="sequential,batched")
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.arm:
        arm = _plain if arguments.arm == "plain" else _graph
        sys.stdout.write(json.dumps(arm(arguments.file, arguments.model)) + "\n")
        return
    arms = ["plain", *arguments.engines.split(",")]
    with tempfile.TemporaryDirectory(prefix="ytc-graph-") as folder:
        file = Path(folder) / "speech.flac"
        shutil.copy(TEST_DATA / WARM_UP, folder)
        reference, duration_s = write_speech(arguments.audio, file, arguments.minutes * 60)
        results: dict[str, list[dict[str, Any]]] = {arm: [] for arm in arms}
        for _ in range(arguments.rounds):
            for arm, measurements in results.items():
                measurements.append(_in_process(arm, file, arguments.model))
    _report(Console(), results, reference, duration_s, arguments.model)


def write_speech(directory: Path, file: Path, length_s: float) -> tuple[str, float]:
    """Write English clips with pauses, repeated, as FLAC; return the text and the seconds."""
    import numpy as np
    from faster_whisper.audio import decode_audio

    english = spoken(directory)
    pause = np.zeros(int(PAUSE_S * SAMPLE_RATE_HZ), dtype=np.float32)
    pieces, words, samples, index = [], [], 0, 0
    while samples < length_s * SAMPLE_RATE_HZ:
        clip = english[index % len(english)]
        pieces += [decode_audio(str(clip.path)), pause]
        words.append(clip.reference)
        samples += len(pieces[-2]) + len(pause)
        index += 1
    return " ".join(words), write_flac(pieces, file)


def _in_process(arm: str, file: Path, model: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="ytc-home-") as home:
        from ytcaption.settings.settings import load_settings

        environment = os.environ | {
            "YTCAPTION_MODEL_DIRECTORY": str(load_settings().models_home),
            "YTCAPTION_ALLOWED_NETWORKS": "127.0.0.0/8",
            "YTCAPTION_HOME": home,
        }
        if arm != "plain":
            environment["YTCAPTION_ENGINE"] = arm
        command = [sys.executable, "-m", "benchmarks.graph", "--arm", arm, "--file", str(file)]
        done = subprocess.run(
            [*command, "--model", model], env=environment, capture_output=True, text=True
        )
    if done.returncode != 0:
        raise RuntimeError(f"the arm {arm} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _plain(file: Path, model: str) -> dict[str, Any]:
    from resources.models.store import ensure_model
    from ytcaption.settings.settings import load_settings

    directory = ensure_model(model, load_settings().models_home).directory
    began = time.perf_counter()
    from faster_whisper import WhisperModel

    whisper = WhisperModel(str(directory), device="cpu", compute_type="int8")
    text = " ".join(
        segment.text.strip()
        for segment in whisper.transcribe(str(file), beam_size=5, language="en")[0]
    )
    wall_s = time.perf_counter() - began
    return {"wall_s": wall_s, "text": text, "memory_bytes": peak_memory_bytes()}


def _graph(file: Path, model: str) -> dict[str, Any]:
    """Measure the engine, then the run of three assets as by `ytcaption transcribe`, from a URL on
    loopback."""
    from dagster import ExecuteInProcessResult

    from resources.audio.decoder import AudioDecoder
    from resources.models.store import ensure_model
    from resources.object_store.store import ObjectStore
    from resources.orchestration.partitions import transcription_partitions
    from resources.postgres.migrate import migrated_postgres
    from resources.sites.resolve import resolve_source
    from resources.transcriptions.store import RequestStore
    from resources.worker.transcriber import transcriber_of
    from sensors.jobs import transcribe_job
    from tests.support.servers.media_server import MediaServer
    from ytcaption.domain.request import checked_options
    from ytcaption.domain.transcripts.transcript import Transcript
    from ytcaption.settings.settings import load_settings
    from ytcaption_assets.cli.up.dagster_home import dagster_instance
    from ytcaption_assets.definitions import build_definitions

    settings = load_settings()
    ensure_model(model, settings.models_home)
    options = checked_options(model=model, allowed_models=settings.speech.models, language="en")
    with (
        MediaServer(file.parent) as server,
        migrated_postgres(settings),
        dagster_instance(settings) as instance,
        local_servers(settings.home),
    ):
        decoder, transcriber = AudioDecoder.from_settings(settings), transcriber_of(settings)
        samples = decoder.decode(TEST_DATA / WARM_UP)
        transcriber.transcribe(samples, options, lambda *_: None)  # the model is loaded
        samples = decoder.decode(file)
        began = time.perf_counter()
        transcriber.transcribe(samples, options, lambda *_: None)
        engine_s = time.perf_counter() - began
        store = RequestStore.from_settings(settings, role="admin")
        job = build_definitions(settings).resolve_job_def(transcribe_job.name)

        def run(name: str) -> tuple[str, ExecuteInProcessResult]:
            source = resolve_source(
                server.url(name),
                sites=settings.download.sites,
                allowed_networks=settings.download.allowed_networks,
            )
            key = store.submit(source, options).transcription.id
            instance.add_dynamic_partitions(transcription_partitions.name or "", [key])
            return key, job.execute_in_process(
                instance=instance, partition_key=key, raise_on_error=True
            )

        run(WARM_UP)  # a run started by `up` finds the code loaded, and a lake
        began = time.perf_counter()
        key, result = run(file.name)
        wall_s = time.perf_counter() - began
        steps = {
            each.step_key: (each.end_time or 0) - (each.start_time or 0)
            for each in instance.get_run_step_stats(result.run_id)
        }
        row = get_transcription(store.postgres, key)
        assert row.document_key is not None
        document = ObjectStore.from_settings(settings).read_bytes(row.document_key)
        (made,) = result.asset_materializations_for_node("transcription")
    timings = {
        name.removesuffix("_s"): float(str(value.value))
        for name, value in made.metadata.items()
        if name in ("decode_s", "vad_s", "load_s", "model_s", "captions_s")
    }
    shares = {
        "download": steps["audio_download"],
        **timings,
        "document, picture, rows": steps["transcription"] - sum(timings.values()),
        "lake": steps["transcript_parquet"],
        "Dagster": wall_s - sum(steps.values()),
    }
    return {
        "wall_s": wall_s,
        "engine_s": engine_s,
        "text": Transcript.from_json(document).text.replace("\n", " "),
        "memory_bytes": peak_memory_bytes(),
        "child_memory_bytes": peak_memory_bytes(children=True),
        "shares": shares,
    }


def _report(
    console: Console,
    results: dict[str, list[dict[str, Any]]],
    reference: str,
    duration_s: float,
    model: str,
) -> None:
    def median(arm: str, name: str) -> float:
        return statistics.median(each[name] for each in results[arm])

    plain_s = median("plain", "wall_s")
    table = Table("arm", "seconds", "RTF", "to plain", "to its engine", "WER", "peak memory")
    for arm, measurements in results.items():
        last = measurements[-1]
        wall_s = median(arm, "wall_s")
        engine_s = median(arm, "engine_s") if arm != "plain" else wall_s
        if arm != "plain":
            rtf, ratio = f"{engine_s / duration_s:.3f}", f"{engine_s / plain_s:.2f}"
            table.add_row(f"{arm} engine alone", f"{engine_s:.1f}", rtf, ratio, "1.00", "", "")
        table.add_row(
            "faster-whisper, beam 5" if arm == "plain" else f"the whole graph, {arm}",
            f"{wall_s:.1f}",
            f"{wall_s / duration_s:.3f}",
            f"{wall_s / plain_s:.2f}",
            "" if arm == "plain" else f"{wall_s / engine_s:.3f}",
            f"{word_errors('en', reference, last['text']).rate:.2%}",
            f"{last['memory_bytes'] / MEBI:.0f} MiB",
        )
    console.print(f"{duration_s:.0f} s of English speech, model {model}")
    console.print(table)
    for arm, measurements in results.items():
        if arm == "plain":
            continue
        last = measurements[-1]
        parts = Table(f"part of the graph, {arm}", "seconds", "share")
        for name, seconds in last["shares"].items():
            parts.add_row(name, f"{seconds:.2f}", f"{seconds / last['wall_s']:.1%}")
        console.print(parts)
        children = last["child_memory_bytes"] / MEBI
        console.print(f"Its largest child process, downloader, decoder, worker: {children:.0f} MiB")


if __name__ == "__main__":
    main()
