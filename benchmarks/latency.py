"""Latency from POST until transcription starts, and the CPU that Dagster uses for it.

Runs that are forked are compared with runs that start in a fresh interpreter, on one machine in one
run. The audio is stored already.

    python -m benchmarks.latency [--requests 20] [--model tiny.en] [--launchers warm,default]
"""

import argparse
import random
import statistics
import time
from collections import defaultdict

import dagster as dg
import psycopg
from rich.console import Console

from benchmarks.common import TEST_DATA
from benchmarks.installation import Installation, installation
from benchmarks.latency_tables import STAGES, LauncherResults, print_tables
from benchmarks.run_cpu import ChildCurves, cpu_s, postgres_s
from benchmarks.run_events import asset_bodies, run_pid
from resources.models.store import ensure_model
from resources.postgres.urls import database_urls
from tests.support.servers.media_server import MediaServer
from ytcaption.settings.settings import (
    Settings,
    load_settings,
)
from ytcaption_assets.cli.up.dagster_home import dagster_instance
from ytcaption_assets.cli.up.state import read_state

IDLE_S = 20.0
PAUSE_S = (2.0, 7.0)  # random, so that requests fall into any phase of the sensor's interval
POLL_S = 0.01
TIMEOUT_S = 120.0
DAGSTER_PROCESSES = ("daemon", "code", "runs")


def main() -> None:
    """Print latency by stage and CPU by process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--launchers", default="warm,default")
    arguments = parser.parse_args()
    models_home = load_settings().models_home
    ensure_model(arguments.model, models_home)
    results = {}
    for launcher in arguments.launchers.split(","):
        with (
            MediaServer(TEST_DATA) as server,
            installation(models_home, YTCAPTION_RUN_LAUNCHER=launcher) as system,
        ):
            url = server.url("jfk.flac")
            results[launcher] = _measure(system, url, arguments.model, arguments.requests)
    print_tables(Console(), results)


def _measure(system: Installation, url: str, model: str, requests: int) -> LauncherResults:
    settings = Settings(home=system.home, _env_file=None)  # pyright: ignore[reportCallIssue]
    state = read_state(system.home)
    assert state is not None
    pids = {each.name: each.pid for each in state.processes if each.name in DAGSTER_PROCESSES}
    results, pause = LauncherResults(), random.Random(7)
    system.wait([system.submit(url, model)], TIMEOUT_S)
    time.sleep(5)
    idle = _idle_cpu_shares(pids, settings)
    results.idle_cpu_share = sum(share for name, share in idle.items() if name != "Postgres")
    run_cpu_s: dict[str, list[float]] = defaultdict(list)
    parents = [pid for name, pid in pids.items() if name in ("code", "runs")]
    with (
        psycopg.connect(database_urls(settings).admin, autocommit=True) as connection,
        dagster_instance(settings) as instance,
        ChildCurves(parents) as curves,
    ):
        began, before = time.time(), _cpu_s(pids, settings)
        for number in range(requests):
            time.sleep(pause.uniform(*PAUSE_S))
            requested_at = time.time()
            id = _submit(system, url, model, number)
            times, run_id = _follow(connection, id)
            records = list(instance.all_logs(run_id))
            results.event_counts.append(len(records))
            _add_stages(results, requested_at, times | _first_events(records))
            _add_run_cpu(run_cpu_s, curves, records)
        after, wall_s = _cpu_s(pids, settings), time.time() - began
    for name in after:
        results.cpu_s[name] = (after[name] - before[name] - idle[name] * wall_s) / requests
    results.cpu_s |= {name: statistics.mean(values) for name, values in run_cpu_s.items()}
    return results


def _submit(system: Installation, url: str, model: str, number: int) -> str:
    body = {"url": url, "model": model, "hotwords": f"request {number}"}
    return system.request("POST", "/api/v1/transcriptions", body)["id"]


def _follow(connection: psycopg.Connection, id: str) -> tuple[dict[str, float], str]:
    """Return when its transcription stage started, and the run that completed it."""
    give_up_at = time.monotonic() + TIMEOUT_S
    times: dict[str, float] = {}
    while time.monotonic() < give_up_at:
        row = connection.execute(
            "select status, stage, extract(epoch from stage_started_at), run_id "
            "from ytcaption.transcription where id = %s",
            (id,),
        ).fetchone()
        assert row is not None
        if row[1] == "transcription":
            times["transcribing"] = float(row[2])
        if row[0] == "completed":
            time.sleep(0.5)  # the run ends, and its process
            return times, row[3]
        assert row[0] in ("queued", "running"), row
        time.sleep(POLL_S if "transcribing" not in times else 0.1)
    raise TimeoutError(f"{id} was not completed")


def _first_events(records: list[dg.EventLogEntry]) -> dict[str, float]:
    first: dict[str, float] = {}
    for record in records:
        if record.dagster_event is None:
            continue
        kind = record.dagster_event.event_type_value
        if kind != "ENGINE_EVENT" or run_pid(record) is not None:
            first.setdefault(kind, record.timestamp)
    return first


def _add_stages(results: LauncherResults, requested_at: float, times: dict[str, float]) -> None:
    previous = requested_at
    for name, event in STAGES:
        results.stages_s[name].append(times[event] - previous)
        previous = times[event]
    results.latencies_s.append(times["transcribing"] - requested_at)


def _add_run_cpu(
    run_cpu_s: dict[str, list[float]], curves: ChildCurves, records: list[dg.EventLogEntry]
) -> None:
    """Add the CPU that the run's process used outside the functions of the assets."""
    pid = next(pid for record in records if (pid := run_pid(record)) is not None)
    curve, bodies = curves.curves[pid], asset_bodies(records)
    inside_s = sum(curve.between_s(start, end) for start, end in bodies)
    first_s = curve.between_s(0.0, bodies[0][0])
    run_cpu_s["run, until its first asset"].append(first_s)
    run_cpu_s["run, between and after its assets"].append(curve.total_s - inside_s - first_s)
    run_cpu_s["run, helpers that show its output"].append(
        sum(curves.helpers_s.get(pid, {}).values())
    )


def _cpu_s(pids: dict[str, int], settings: Settings) -> dict[str, float]:
    return {name: cpu_s(pid) for name, pid in pids.items()} | {
        "Postgres": postgres_s(settings.home)
    }


def _idle_cpu_shares(pids: dict[str, int], settings: Settings) -> dict[str, float]:
    """Return the CPU of each process while there are no requests, as a share of one core."""
    before, began = _cpu_s(pids, settings), time.time()
    time.sleep(IDLE_S)
    after, wall_s = _cpu_s(pids, settings), time.time() - began
    return {name: (after[name] - before[name]) / wall_s for name in after}


if __name__ == "__main__":
    main()
