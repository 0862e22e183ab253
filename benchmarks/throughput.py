"""Many transcriptions at once through POST until all are completed, beside a bare Python loop over
faster-whisper on the same files; then one by one, at a pace.

    python -m benchmarks.throughput [--clips 200] [--engine batched] [--write docs]

Each clip is a recording of its own, made of real ones. An hour is never waited for: at a pace
clips come for --window seconds, and a lone one tells of paces at which they never meet.
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
from benchmarks.throughput_report import Bare, Load, Results, print_results, write_results
from resources.models.store import ensure_model
from resources.postgres.urls import database_urls
from tests.support.servers.media_server import MediaServer
from ytcaption.domain.transcripts.accuracy import word_errors
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)

CLIENTS = 8
REST_S = 20.0
LONE = 3
PER_CLIP_S = 60.0
COLD_IDLE_S = 3


def main() -> None:
    """Prints the tables; exit status 1 where a transcription was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, default=TEST_DATA)
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--engine", choices=("batched", "sequential"))
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--seconds", default="10-60", help="shortest and longest clip")
    parser.add_argument("--paces", default="1000,100", help="an hour; empty: none")
    parser.add_argument("--window", type=float, default=180, help="seconds of each pace")
    parser.add_argument("--no-lone", action="store_true", help="nothing of lone transcriptions")
    parser.add_argument("--write", type=Path, help="folder for throughput.json, .svg and .png")
    parser.add_argument("--bare", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    models_home = load_settings().models_home
    directory = ensure_model(arguments.model, models_home).directory
    if arguments.bare:
        sys.stdout.write(json.dumps(asdict(_bare(arguments.bare, directory))) + "\n")
        return
    shortest_s, longest_s = map(float, arguments.seconds.split("-"))
    paces = [int(pace) for pace in arguments.paces.split(",") if pace]
    arrivals = {pace: max(2, round(arguments.window * pace / 3600)) for pace in paces}
    lone = 0 if arguments.no_lone else 2 * LONE + 1
    count = arguments.clips + sum(arrivals.values()) + lone + 1
    environment = {"YTCAPTION_REQUESTS_PER_MINUTE": "100000"}  # the texts are asked for at once
    if arguments.engine:
        environment["YTCAPTION_ENGINE"] = arguments.engine
    found = machine()
    with tempfile.TemporaryDirectory(prefix="ytc-clips-") as name:
        folder = Path(name)
        left = joined_clips(arguments.audio, folder, count, shortest_s, longest_s)
        batch, left = left[: arguments.clips], left[arguments.clips :]
        bare = _bare_in_process(batch, folder, arguments.model)
        with MediaServer(folder) as server:
            with installation(models_home, **environment) as system:
                runner = _Runner(system, server, arguments.model)
                runner.run([left.pop()], 0.0)  # the first one of all loads and creates
                loads = {f"{len(batch)} at once": runner.run(batch, 0.0)}
                for pace, some in arrivals.items():
                    chosen, left = left[:some], left[some:]
                    loads[f"{pace} an hour"] = runner.run(chosen, 3600 / pace)
                rest_share = runner.rest_share()
                if lone:
                    chosen, left = left[:LONE], left[LONE:]
                    loads["a lone one"] = runner.one_by_one(chosen)
            if lone:
                cold = environment | {"YTCAPTION_WORKER_IDLE_S": str(COLD_IDLE_S)}
                with installation(models_home, **cold) as system:
                    runner = _Runner(system, server, arguments.model)
                    runner.run([left.pop()], 0.0)
                    loads["a lone one, model given back"] = runner.one_by_one(
                        left[:LONE], COLD_IDLE_S + 3.0
                    )
    results = Results(
        machine=found,
        command=" ".join(["python -m benchmarks.throughput", *sys.argv[1:]]),
        model=arguments.model,
        engine=arguments.engine or load_settings().speech.engine,
        loads=loads,
        rest_share=rest_share,
        bare=bare,
    )
    print_results(Console(), results)
    if arguments.write:
        write_results(arguments.write, results)
    raise SystemExit(int(any(load.failed for load in loads.values())))


class _Runner:
    """Asks one installation for transcriptions."""

    def __init__(self, system: Installation, server: MediaServer, model: str) -> None:
        self._system, self._server, self._model = system, server, model
        self._settings = Settings(home=system.home, _env_file=None)  # pyright: ignore[reportCallIssue]

    def rest_share(self) -> dict[str, float]:
        """CPU by part while nothing is asked for, of one core."""
        time.sleep(5)
        with PartCpu(self._settings) as cpu:
            time.sleep(REST_S)
        return {part: taken_s / cpu.took_s for part, taken_s in cpu.parts_s().items()}

    def one_by_one(self, chosen: Sequence[Clip], pause_s: float = 2.0) -> Load:
        """Each once the one before has been completed for a while."""
        loads = []
        for clip in chosen:
            time.sleep(pause_s)
            loads.append(self.run([clip], 0.0))
        return Load.sum_of(loads)

    def run(self, chosen: Sequence[Clip], apart_s: float) -> Load:
        """All of them, so long apart, until the last is completed."""
        with PartCpu(self._settings) as cpu:
            began = time.time()
            with ThreadPoolExecutor(CLIENTS) as clients:
                asked = [
                    clients.submit(self._ask, clip, began + number * apart_s)
                    for number, clip in enumerate(chosen)
                ]
                answers = [each.result() for each in asked]
            rows = self._ended(
                [id for id, _ in answers], began + PER_CLIP_S * len(chosen) + PER_CLIP_S
            )
            time.sleep(0.5)  # the last run's process ends
        cpu.read_runs([row["run_id"] for row in rows.values() if row["run_id"]])
        completed = {id: row for id, row in rows.items() if row["completed_at"] is not None}
        errors = [
            word_errors("en", clip.reference, self._system.text(id))
            for clip, (id, _) in zip(chosen, answers, strict=True)
            if id in completed
        ]
        ended = [float(row["completed_at"]) for row in completed.values()]
        return Load(
            asked=len(chosen),
            failed=len(chosen) - len(completed),
            audio_s=sum(clip.duration_s for clip in chosen),
            took_s=max(ended, default=time.time()) - began,
            latency_s=[
                float(completed[id]["completed_at"]) - asked_at
                for id, asked_at in answers
                if id in completed
            ],
            ended_after_s=sorted(moment - began for moment in ended),
            cpu_s=cpu.parts_s(),
            error_rate=total(errors).rate,
        )

    def _ask(self, clip: Clip, at: float) -> tuple[str, float]:
        time.sleep(max(0.0, at - time.time()))
        asked_at = time.time()
        return self._system.submit(self._server.url(clip.path.name), self._model), asked_at

    def _ended(self, ids: list[str], give_up_at: float) -> dict[str, dict[str, Any]]:
        """Rows by id, once all are final."""
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


def _bare_in_process(chosen: Sequence[Clip], folder: Path, model: str) -> Bare:
    """The loop over the same files, in a process of its own."""
    manifest = folder / "bare.json"
    manifest.write_text(json.dumps([[str(clip.path), clip.reference] for clip in chosen]))
    command = [sys.executable, "-m", "benchmarks.throughput", "--bare", str(manifest)]
    done = subprocess.run(
        [*command, "--model", model], env=os.environ, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"the bare loop failed:\n{done.stderr[-3000:]}")
    return Bare(**json.loads(done.stdout.splitlines()[-1]))


def _bare(manifest: Path, directory: Path) -> Bare:
    """What anybody would write: a model, a loop, beam 5."""
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
    took_s, cpu_s = time.perf_counter() - began, time.process_time()
    errors = [
        word_errors("en", reference, text)
        for (_, reference), text in zip(files, texts, strict=True)
    ]
    return Bare(took_s, cpu_s, total(errors).rate)


if __name__ == "__main__":
    main()
