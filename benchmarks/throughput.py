"""Throughput and latency of transcriptions that are requested by POST: all at once, beside a plain
loop over faster-whisper on the same files; at fixed rates; and one at a time.

    python -m benchmarks.throughput [--clips 200] [--engine batched] [--write docs/benchmarks]

Each clip is a recording of its own, joined from real ones. A rate is held for --window seconds, not
for an hour. Single requests stand for rates that are so low that no two requests overlap.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console

from benchmarks.common import TEST_DATA, Clip, total
from benchmarks.installation import Installation, installation
from benchmarks.joined_clips import joined_clips
from benchmarks.machine import machine
from benchmarks.part_cpu import PartCpu
from benchmarks.throughput_report import Baseline, Load, Results, print_results, write_results
from resources.models.store import ensure_model
from resources.postgres.urls import database_urls
from tests.support.servers.media_server import MediaServer
from ytcaption.domain.transcripts.accuracy import word_errors
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)

CLIENTS = 8
IDLE_S = 20.0
SINGLE_REQUESTS = 3
TIMEOUT_PER_CLIP_S = 60.0
UNLOAD_AFTER_S = 3


def main() -> None:
    """Print the tables; exit status 1 if a transcription was not completed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, default=TEST_DATA)
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--engine", choices=("batched", "sequential"))
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seconds", default="10-60", help="shortest and longest clip")
    parser.add_argument("--rates", default="1000,100", help="requests per hour; empty: none")
    parser.add_argument("--window", type=float, default=180, help="seconds that each rate is held")
    parser.add_argument("--no-single", action="store_true", help="skip the single requests")
    parser.add_argument("--write", type=Path, help="folder for throughput.json, .svg and .png")
    parser.add_argument("--baseline", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    models_home = load_settings().models_home
    directory = ensure_model(arguments.model, models_home).directory
    if arguments.baseline:
        sys.stdout.write(json.dumps(asdict(_baseline(arguments.baseline, directory))) + "\n")
        return
    shortest_s, longest_s = map(float, arguments.seconds.split("-"))
    rates = [int(rate) for rate in arguments.rates.split(",") if rate]
    arrivals = {rate: max(2, round(arguments.window * rate / 3600)) for rate in rates}
    single = 0 if arguments.no_single else 2 * SINGLE_REQUESTS + 1
    count = arguments.clips + sum(arrivals.values()) + single + 1
    environment = {"YTCAPTION_REQUESTS_PER_MINUTE": "100000"}  # the texts are requested at once
    if arguments.engine:
        environment["YTCAPTION_ENGINE"] = arguments.engine
    found = machine()
    with tempfile.TemporaryDirectory(prefix="ytc-clips-") as name:
        folder = Path(name)
        left = joined_clips(arguments.audio, folder, count, shortest_s, longest_s)
        batch, left = left[: arguments.clips], left[arguments.clips :]
        baseline = _baseline_in_process(batch, folder, arguments.model)
        with MediaServer(folder) as server:
            with installation(models_home, **environment) as system:
                runner = _Runner(system, server, arguments.model)
                runner.run([left.pop()], 0.0)  # warm-up: loads the model, creates the lake
                loads = {f"{len(batch)} at once": runner.run(batch, 0.0)}
                for rate, number in arrivals.items():
                    chosen, left = left[:number], left[number:]
                    loads[f"{rate} / hour"] = runner.run(chosen, 3600 / rate)
                idle_cpu_share = runner.idle_cpu_share()
                if single:
                    chosen, left = left[:SINGLE_REQUESTS], left[SINGLE_REQUESTS:]
                    loads["single, model loaded"] = runner.one_by_one(chosen)
            if single:
                cold = environment | {"YTCAPTION_WORKER_IDLE_S": str(UNLOAD_AFTER_S)}
                with installation(models_home, **cold) as system:
                    runner = _Runner(system, server, arguments.model)
                    runner.run([left.pop()], 0.0)
                    loads["single, model unloaded"] = runner.one_by_one(
                        left[:SINGLE_REQUESTS], UNLOAD_AFTER_S + 3.0
                    )
    results = Results(
        machine=found,
        command=" ".join(["python -m benchmarks.throughput", *sys.argv[1:]]),
        model=arguments.model,
        engine=arguments.engine or load_settings().speech.engine,
        loads=loads,
        idle_cpu_share=idle_cpu_share,
        baseline=baseline,
    )
    print_results(Console(), results)
    if arguments.write:
        write_results(arguments.write, results)
    raise SystemExit(int(any(load.failed for load in loads.values())))


class _Runner:
    """Requests transcriptions of one installation and measures them."""

    def __init__(self, system: Installation, server: MediaServer, model: str) -> None:
        self._system, self._server, self._model = system, server, model
        self._settings = Settings(home=system.home, _env_file=None)  # pyright: ignore[reportCallIssue]

    def idle_cpu_share(self) -> dict[str, float]:
        """Return the CPU by part while there are no requests, as a share of one core."""
        time.sleep(5)
        with PartCpu(self._settings) as cpu:
            time.sleep(IDLE_S)
        return {part: cpu_s / cpu.wall_s for part, cpu_s in cpu.parts_s().items()}

    def one_by_one(self, chosen: Sequence[Clip], pause_s: float = 2.0) -> Load:
        """Request each clip `pause_s` after the one before was completed."""
        loads = []
        for clip in chosen:
            time.sleep(pause_s)
            loads.append(self.run([clip], 0.0))
        return Load.sum_of(loads)

    def run(self, chosen: Sequence[Clip], interval_s: float) -> Load:
        """Request all clips at this interval, and wait until the last is completed."""
        with PartCpu(self._settings) as cpu:
            began = time.time()
            with ThreadPoolExecutor(CLIENTS) as clients:
                submissions = [
                    clients.submit(self._submit, clip, began + number * interval_s)
                    for number, clip in enumerate(chosen)
                ]
                submitted = [each.result() for each in submissions]
            rows = self._ended(
                [id for id, _ in submitted], began + TIMEOUT_PER_CLIP_S * (len(chosen) + 1)
            )
            time.sleep(0.5)  # the last run's process ends
        cpu.read_runs([row["run_id"] for row in rows.values() if row["run_id"]])
        completed = {id: row for id, row in rows.items() if row["completed_at"] is not None}
        errors = [
            word_errors("en", clip.reference, self._system.text(id))
            for clip, (id, _) in zip(chosen, submitted, strict=True)
            if id in completed
        ]
        ended = [float(row["completed_at"]) for row in completed.values()]
        return Load(
            requests=len(chosen),
            failed=len(chosen) - len(completed),
            audio_s=sum(clip.duration_s for clip in chosen),
            wall_s=max(ended, default=time.time()) - began,
            latencies_s=[
                float(completed[id]["completed_at"]) - submitted_at
                for id, submitted_at in submitted
                if id in completed
            ],
            completed_after_s=sorted(moment - began for moment in ended),
            cpu_s=cpu.parts_s(),
            wer=total(errors).rate,
        )

    def _submit(self, clip: Clip, at: float) -> tuple[str, float]:
        """Request a clip at a time; return the id, and when the request was sent."""
        time.sleep(max(0.0, at - time.time()))
        submitted_at = time.time()
        return self._system.submit(self._server.url(clip.path.name), self._model), submitted_at

    def _ended(self, ids: list[str], give_up_at: float) -> dict[str, dict[str, Any]]:
        """Return rows by id, once all are final or the time has passed."""
        with psycopg.connect(database_urls(self._settings).admin, autocommit=True) as connection:
            while True:
                found = connection.execute(
                    "select id, status, run_id, extract(epoch from completed_at) as completed_at "
                    "from ytcaption.transcription where id = any(%s)",
                    (ids,),
                ).fetchall()
                if time.time() > give_up_at or all(
                    status not in ("queued", "running") for _, status, *_ in found
                ):
                    return {
                        id: {"run_id": run_id, "completed_at": completed_at}
                        for id, _, run_id, completed_at in found
                    }
                time.sleep(0.25)


def _baseline_in_process(chosen: Sequence[Clip], folder: Path, model: str) -> Baseline:
    """Measure the loop over the same files, in a process of its own."""
    manifest = folder / "baseline.json"
    manifest.write_text(json.dumps([[str(clip.path), clip.reference] for clip in chosen]))
    command = [sys.executable, "-m", "benchmarks.throughput", "--baseline", str(manifest)]
    done = subprocess.run(
        [*command, "--model", model], env=os.environ, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"the loop over faster-whisper failed:\n{done.stderr[-3000:]}")
    return Baseline(**json.loads(done.stdout.splitlines()[-1]))


def _baseline(manifest: Path, directory: Path) -> Baseline:
    """Measure a plain loop over the files with one model and beam 5."""
    from faster_whisper import WhisperModel

    began = time.perf_counter()
    model = WhisperModel(str(directory), device="cpu", compute_type="int8")
    files = json.loads(manifest.read_text())
    texts = [
        " ".join(
            segment.text.strip()
            for segment in model.transcribe(path, beam_size=5, language="en")[0]
        )
        for path, _ in files
    ]
    wall_s, cpu_s = time.perf_counter() - began, time.process_time()
    errors = [
        word_errors("en", reference, text)
        for (_, reference), text in zip(files, texts, strict=True)
    ]
    return Baseline(wall_s, cpu_s, total(errors).rate)


if __name__ == "__main__":
    main()
